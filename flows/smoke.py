"""Every stage for real on a tiny split, in a copy of the project: the folder stays as it is.

    python -m flows.smoke [EXPERIMENT]

The copy gets the differences of the experiment (`smoke`), its own cache, store and tracking, and
is run twice: the second run must find everything up to date.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from finer1.inspection.findings import shown_lines
from finer1.params import check_params, load_values, with_differences
from flows.differences import differences_on
from flows.plan import check_models
from flows.processes import stage_environment, stream
from flows.values import set_values
from tasks.exit_codes import BAD_INPUT

_NO_MODELS: Mapping[str, object] = {
    f"{section}.models": {}
    for section in ("pretrain", "predict", "robustness", "general", "analysis")
}
"""The user's further models are no part of it; those that the experiment names are."""
_CODE = ("finer1", "tasks", "flows", "params.yaml", "dvc.yaml", ".dvc/config", ".dvcignore")


def main(arguments: list[str]) -> int:
    """Copy, run, run again; returns the exit code."""
    name = arguments[0] if arguments else "smoke"
    root, start = Path.cwd(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="finer1-smoke-") as folder:
        copy = Path(folder)
        try:
            metrics = prepare(root, copy, name)
        except ValueError as error:
            print(f"smoke: {shown_lines(error)}", file=sys.stderr)
            return BAD_INPUT
        code, _ = _run(copy, echo=True)
        if code:
            return code
        again, lines = _run(copy, echo=False)
        if again or not any("everything is up to date" in line for line in lines):
            print("smoke: the second run did not find everything up to date", file=sys.stderr)
            return again or 1
        count = len(json.loads((copy / metrics / "score.json").read_text(encoding="utf-8")))
    print("second run: everything is up to date")
    print(f"smoke: passed, {count} scores, {time.monotonic() - start:.0f} s")
    return 0


def prepare(root: Path, copy: Path, name: str) -> Path:
    """Copy what the stages need, with the experiment's values; returns the metrics' folder.

    Raises ValueError when there is no such single experiment, or it names a model that the copy
    does not have.
    """
    values = load_values(root / "params.yaml")
    experiments = check_params(values, "params.yaml").experiments
    differences = {**_NO_MODELS, **differences_on(values, experiments, name, None)}
    params = check_params(with_differences(values, differences), f"experiment {name}")
    made = {params.paths.bases / name for name in params.pretrain.models}
    needed = {params.paths.base, params.paths.decisions, params.paths.taxonomy} - made
    for item in (*map(Path, _CODE), *sorted(needed)):
        source, target = root / item, copy / item
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    check_models(params, f"experiment {name}", lambda path: (copy / path).exists())
    (copy / ".dvc/config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    set_values(copy / "params.yaml", differences)
    return params.paths.metrics


def _run(copy: Path, echo: bool) -> tuple[int, list[str]]:
    """Exit code and lines of one `finer1 run` in the copy, on its own store and tracking."""
    environ = {
        name: value
        for name, value in stage_environment().items()
        if not name.startswith(("FINER1_", "MLFLOW_"))
    }
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        if echo:
            print(line, flush=True)

    return stream([sys.executable, "-m", "flows.cli", "run"], copy, environ, take), lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
