"""The code that each stage depends on, as dvc.yaml must list it.

    python -m flows.deps            say what is missing or too much; exit code 1 if anything is
    python -m flows.deps --write    write it to dvc.yaml

It is the closure of imports of `tasks/<stage>.py`, less the plumbing, plus what is looked up by
name: the readers of datasets, every engine that the stage may load (a teacher's, one that runs the
project's own models, or one that reaches a model of the zoo), the families of models, what vLLM's
worker loads, and data files beside the code. A stage that lacks one of them would give stale
results.
"""

import ast
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from ruamel.yaml import YAML

from finer1.files import write_atomic
from finer1.model_params import RuntimeParams
from finer1.params import Params, load_values
from flows.imports import import_closure, imported_modules

PLUMBING = frozenset(
    Path(name)
    for name in (
        "finer1/data_params.py",
        "finer1/engines/shards.py",
        "finer1/evaluation_params.py",
        "finer1/experiment_params.py",
        "finer1/faults.py",
        "finer1/model_params.py",
        "finer1/params.py",
        "finer1/paths.py",
        "finer1/progress.py",
        "finer1/section.py",
        "tasks/attempts.py",
        "tasks/exit_codes.py",
        "tasks/faults.py",
        "tasks/identity.py",
        "tasks/launching.py",
        "tasks/origin.py",
        "tasks/shards.py",
        "tasks/space.py",
        "tasks/stage.py",
        *(
            f"tasks/tracking/{name}.py"
            for name in (
                *("__init__", "journal", "pictures", "recognizer", "registry", "run", "sender"),
                *("store", "sync", "system"),
            )
        ),
    )
)
"""Around every stage. A change here, tasks/stage.py with its thread count and its log included,
runs nothing again by itself, since it would run everything; where results change, `dvc repro -f`.
"""

_FIND_READER = {
    "finer1.datasets.interface.find_reader",
    "finer1.datasets.interface.reader_of",
}
_REFERENCE = Path("finer1/reference")
_LOAD_ENGINE = "finer1.engines.interface.load_engine"
_FIND_ASKED = {"finer1.zoo.loading.find_asked", "finer1.zoo.loading.find_for_stage"}
_SERVED = Path("finer1/engines/openai.py")
"""The engine for entries of the zoo that a server has."""
_OWN_MODELS_ONLY = Path("finer1/engines/vllm_server.py")
"""Of the engines for the project's own models the one that runs no teacher."""

_LOADING_FAMILY = Path("finer1/policy/families/interface.py")
"""Loads the files beside it by the type of the model."""
_WORKER = Path("finer1/serving/worker.py")
_NAMING_WORKER = {Path("finer1/serving/colocated.py"), Path("finer1/serving/server.py")}
"""vLLM imports the first by the name that each of these gives it."""
_LMMS_MODEL = Path("finer1/general/lmms_model.py")
_NAMING_LMMS_MODEL = Path("finer1/general/plugin.py")
"""lmms-eval imports the first by the name that the second gives it."""

_NAMING_MODELS = Path("finer1/report/names.py")
_ZOO = Path("finer1/zoo")
"""The first reads the titles of the models from whatever entries of the second a run names."""


def code_deps(stage: str, root: Path) -> list[str]:
    """Sorted entries of `deps` for the code of `stage`, a key of dvc.yaml's `stages`."""
    entry = Path("tasks") / f"{stage}.py"
    closure = import_closure({entry}, root)
    called = set[str]().union(*(imported_modules(root / path) for path in closure - PLUMBING))
    deps: set[str] = set()
    if _LOAD_ENGINE in called:
        engines = _engines(stage, root) | ({_SERVED} if _FIND_ASKED & called else set())
        closure |= import_closure(engines, root)
    if _FIND_READER & called:
        closure |= import_closure(_defining("read", Path("finer1/datasets"), root), root)
    if _LOADING_FAMILY in closure:
        families = (root / _LOADING_FAMILY).parent.glob("*.py")
        closure |= import_closure({path.relative_to(root) for path in families}, root)
    if _NAMING_WORKER & closure:
        closure |= import_closure({_WORKER}, root)
    if _NAMING_LMMS_MODEL in closure:
        closure |= import_closure({_LMMS_MODEL}, root)
    if _NAMING_MODELS in closure:
        deps |= {path.relative_to(root).as_posix() for path in (root / _ZOO).glob("*.yaml")}
    own = {path for path in closure - PLUMBING if not _is_empty(root / path)}
    deps |= {path.as_posix() for path in own}
    deps |= {file.as_posix() for path in own for file in _data_files(path, root)}
    return sorted(deps)


def listed_deps(root: Path) -> dict[str, list[str]]:
    """The code among the `deps` of each stage in dvc.yaml."""
    stages = load_values(root / "dvc.yaml")["stages"]
    return {
        name: [item for item in _body(block).get("deps", []) if _is_code(item)]
        for name, block in stages.items()
    }


def write_deps(root: Path) -> None:
    """Put the right code deps into dvc.yaml, after the data deps; comments stay."""
    path = root / "dvc.yaml"
    writer = YAML()
    writer.width = 4096
    writer.preserve_quotes = True
    writer.indent(mapping=2, sequence=4, offset=2)
    document = writer.load(path.read_text(encoding="utf-8"))
    for name, block in document["stages"].items():
        body = _body(block)
        data = [item for item in body.get("deps", []) if not _is_code(item)]
        body["deps"] = [*data, *code_deps(name, root)]
    with io.StringIO() as text:
        writer.dump(document, text)
        write_atomic(path, text.getvalue().encode())


def main(arguments: Sequence[str]) -> int:
    """Check, or write with --write; returns the exit code."""
    root = Path.cwd()
    if list(arguments) == ["--write"]:
        write_deps(root)
    wrong = 0
    for stage, listed in listed_deps(root).items():
        right = code_deps(stage, root)
        for item in sorted(set(right) - set(listed)):
            print(f"{stage}: missing {item}")
        for item in sorted(set(listed) - set(right)):
            print(f"{stage}: too much {item}")
        wrong += set(right) != set(listed)
    return 1 if wrong else 0


def _engines(stage: str, root: Path) -> set[Path]:
    """Engines that the stage may load: where its section names a teacher, all that can be one."""
    section = Params.model_fields.get(stage)
    if section is not None and "engine" in _kind(Params, stage).model_fields:
        return _defining("load", Path("finer1/engines"), root) - {_OWN_MODELS_ONLY}
    names = get_args(_kind(RuntimeParams, "engine"))
    return {Path(f"finer1/engines/{name}.py") for name in names}


def _kind(section: Any, field: str) -> Any:
    return section.model_fields[field].annotation


def _defining(function: str, folder: Path, root: Path) -> set[Path]:
    """Modules in a folder that have a function of this name, which makes them loadable by name."""
    return {
        path.relative_to(root)
        for path in (root / folder).glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    }


def _data_files(path: Path, root: Path) -> set[Path]:
    """Files beside a module, or in finer1/reference, that it names in a string."""
    strings = {
        node.value
        for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    beside = [item for item in (root / path).parent.iterdir() if item.suffix not in ("", ".py")]
    beside += (root / _REFERENCE).rglob("*.*")
    return {item.relative_to(root) for item in beside if item.name in strings}


def _is_empty(path: Path) -> bool:
    """True for a module of at most a docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) for node in body)


def _body(block: Any) -> Any:
    return block.get("do", block)


def _is_code(item: str) -> bool:
    return item.startswith(("finer1/", "tasks/"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
