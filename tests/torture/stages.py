"""Kills of the real stages, of the smoke size, forked from a process that has imported everything.

A stage by itself spends most of its time on imports. Here they are made once, by a server from
which each run of a stage is forked; it is done with asserts off (-O), as the stages assert that
torch is not loaded before them. What DVC does is done here: outputs go before a stage runs.

    python -O -m tests.torture.stages KILLS SEED        KILLS of each stage
"""

import json
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from resource import struct_rusage

from flows.smoke import prepare
from tasks.identity import stage_entry
from tests.crashes import litter, tree
from tests.torture.moments import Length, await_moment, kill

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("download", "split", "questions", "concepts", "cot", "review", "sft", "triplets", "tapo")
"""In order; what follows writes by the same code, but takes longer."""
VARYING = ("time/", "speed/", "mem/", "check/")


def main(kills: int, seed: int, stages: tuple[str, ...] = STAGES) -> None:
    """Run every stage once, then kill each so often, and go on; raises for any difference."""
    draw, trials, trial, hits = random.Random(seed), kills * len(stages), 0, 0
    with tempfile.TemporaryDirectory(prefix="finer1-torture-") as folder:
        copy = Path(folder)
        prepare(ROOT, copy, "smoke")
        serve(copy)
        for stage in STAGES:
            outs = outputs(copy, stage)
            length = Length()
            length.add(run_whole(copy, stage, outs))
            expected = fingerprint(copy, outs)
            for number in range(kills if stage in stages else 0):
                rounds = torture(copy, stage, outs, length, draw)
                hits, trial = hits + rounds, trial + 1
                found = fingerprint(copy, outs)
                case = f"{stage}, kill {number}, seed {seed}"
                require_whole(copy, found, expected, case)
                print(f"stages: {hits} kills in {trial} of {trials} trials, {stage}", flush=True)
    print(f"stages: all byte-identical after {hits} kills", flush=True)


def require_whole(copy: Path, found: dict[str, str], expected: dict[str, str], case: str) -> None:
    """Raise AssertionError unless the outputs are as expected and nothing is left over."""
    names = found.keys() | expected.keys()
    changed = sorted(name for name in names if found.get(name) != expected.get(name))
    _require(not changed, f"{case}: {changed}")
    left = [*(copy / "models/.resume").iterdir()]
    _require(not left, f"{case}: {left}")
    _require(not litter(copy / "data") + litter(copy / "models"), f"{case}: parts are left over")


def _require(ok: bool, case: str) -> None:
    """What `assert` would say, which -O removes."""
    if not ok:
        raise AssertionError(case)


def serve(copy: Path) -> None:
    """Make this process one from which stages are forked."""
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{copy}/mlflow.db",
        "FINER1_STORE": str(copy / "models/.generations"),
    }
    os.environ.pop("FINER1_RESUME", None)
    from finer1.params import load_params
    from tasks import stage
    from tasks.tracking import prepare_store

    _require(__name__ != "__main__" or bool(sys.flags.optimize), "start it by python -O")
    os.chdir(copy)
    stage.settle_libraries(load_params(copy / "params.yaml").runtime.threads, is_online=False)
    prepare_store(copy)
    import finer1.engines.transformers
    import finer1.policy.folder
    import finer1.sft
    import finer1.tapo.training  # noqa: F401


def outputs(copy: Path, stage: str) -> list[Path]:
    """What DVC removes before the stage runs."""
    entry = stage_entry(stage, copy)
    return [copy / path for path in (*entry.get("outs", []), *entry.get("metrics", []))]


def run_whole(copy: Path, stage: str, outs: list[Path]) -> struct_rusage:
    """Remove the outputs, then run the stage to its end; what it used."""
    clear(outs)
    child = start(copy, stage)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{stage} failed:\n{(copy / 'output').read_text(errors='replace')[-3000:]}")
    return usage


def torture(copy: Path, stage: str, outs: list[Path], length: Length, draw: random.Random) -> int:
    """Kill the stage up to three times, as often as it has not ended before, then let it end.

    The first moment is drawn over all of it; what goes on after a kill has less left to do.
    The store is emptied first, so that it is filled anew. Returns the number of kills.
    """
    shutil.rmtree(copy / "models/.generations", ignore_errors=True)
    kills = 0
    for _ in range(draw.randint(1, 3)):
        clear(outs)
        child = start(copy, stage)
        if await_moment(child, length.draw(draw)):
            kill(child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _require(code in (0, -signal.SIGKILL), f"{stage} failed, see {copy / 'output'}")
        if not code:
            break
        kills += 1
    run_whole(copy, stage, outs)
    return kills


def start(copy: Path, stage: str) -> int:
    """Fork a run of the stage, as its command in dvc.yaml says; its output goes to a file."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(copy)
        log = os.open(copy / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _, _, _, module, *words = stage_entry(stage, copy)["cmd"].split()
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__")
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def clear(outs: list[Path]) -> None:
    """Remove outputs."""
    for path in outs:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def fingerprint(copy: Path, outs: list[Path]) -> dict[str, str]:
    """SHA-256 of what the stage wrote; of metrics without what varies between equal runs."""
    found: dict[str, str] = {}
    for path in outs:
        if path.parent.name == "metrics":
            values = json.loads(path.read_text(encoding="utf-8"))
            kept = {name: value for name, value in values.items() if not name.startswith(VARYING)}
            found[path.name] = json.dumps(kept, sort_keys=True)
        elif path.is_dir():
            found |= {f"{path.name}/{name}": sha for name, sha in tree(path).items()}
        else:
            found |= {path.name: tree(path.parent)[path.name]}
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), tuple(sys.argv[3:]) or STAGES)
