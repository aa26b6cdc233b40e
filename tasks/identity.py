"""The `stage_key` of a stage: what it runs, with which parameters, on which inputs.

Known at the start of a stage from dvc.yaml, params.yaml and the files themselves, and
recomputable from the stage's entry in dvc.lock: sha256 over

    {"cmd": ..., "deps": {path: DVC's md5}, "params": {section: values}}
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_REFERENCE = re.compile(r"\$\{([^}]+)\}")


def stage_key(stage: str, folder: Path) -> str:
    """Hex SHA-256 that names one execution of `stage` in the project at `folder`."""
    return keyed_inputs(stage, folder)[0]


def keyed_inputs(stage: str, folder: Path) -> tuple[str, dict[str, str]]:
    """The stage's key, and DVC's md5 of each file or folder that it reads, its code left out."""
    entry = stage_entry(stage, folder)
    values = _read(folder / "params.yaml")
    deps = {path: dvc_md5(folder / path) for path in entry.get("deps", [])}
    params = {name: look_up(values, name) for name in entry.get("params", [])}
    data = {path: md5 for path, md5 in deps.items() if not path.startswith(("finer1/", "tasks/"))}
    return key_of(entry["cmd"], deps, params), data


def locked_key(stage: str, folder: Path) -> str:
    """The same key from the entry that DVC wrote to dvc.lock when the stage had succeeded."""
    lock = _read(folder / "dvc.lock")
    entry = lock["stages"][stage]
    return key_of(
        entry["cmd"],
        {dep["path"]: dep["md5"] for dep in entry.get("deps", [])},
        entry.get("params", {}).get("params.yaml", {}),
    )


def key_of(cmd: str, deps: dict[str, str], params: dict[str, Any]) -> str:
    """Hash of the three parts in canonical JSON."""
    content = {"cmd": cmd, "deps": deps, "params": params}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def stage_entry(stage: str, folder: Path) -> dict[str, Any]:
    """The stage's block of dvc.yaml with every `${...}` filled in.

    Raises ValueError when dvc.yaml has no such stage.
    """
    graph = _read(folder / "dvc.yaml")["stages"]
    scope = _read(folder / "params.yaml")
    name, _, key = stage.partition("@")
    members = _members(graph.get(name, {}), scope)
    if name not in graph or (key and key not in members):
        raise ValueError(f"dvc.yaml has no stage {stage}")
    return _entry(graph[name], key, members, scope)


def all_entries(graph: dict[str, Any], values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every stage as stage_entry has it, by name, with other values than those of params.yaml.

    graph: `stages` of dvc.yaml. values: content of params.yaml.
    """
    entries = {}
    for name, block in graph.items():
        members = _members(block, values)
        for key in members or [""]:
            if members or "foreach" not in block:
                stage = f"{name}@{key}" if key else name
                entries[stage] = _entry(block, key, members, values)
    return entries


def _entry(
    block: dict[str, Any], key: str, members: dict[str, Any], scope: dict[str, Any]
) -> dict[str, Any]:
    """A stage's block filled in; key: the member that it is made for, if any."""
    if not key:
        filled = _fill(block, scope)
    else:
        item = _fill(members[key], scope)
        filled = _fill(block["do"], {**scope, "key": key, "item": item})
    assert isinstance(filled, dict)
    return filled


def look_up(values: Any, dotted: str) -> Any:
    """`values["a"]["b"]` for "a.b"."""
    for part in dotted.split("."):
        values = values[part]
    return values


def dvc_md5(path: Path) -> str:
    """The hash that DVC records for a file or folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is missing")
    entries = sorted(
        (file.relative_to(path).as_posix(), dvc_md5(file))
        for file in path.rglob("*")
        if file.is_file()
    )
    tree = [{"md5": md5, "relpath": relpath} for relpath, md5 in entries]
    return hashlib.md5(json.dumps(tree, sort_keys=True).encode()).hexdigest() + ".dir"


def _members(block: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
    """What a stage is made for: written in dvc.yaml, or a mapping of params.yaml that it names."""
    members = block.get("foreach", {})
    if isinstance(members, str):
        members = look_up(scope, _REFERENCE.fullmatch(members).group(1))  # type: ignore[union-attr]
    return dict(members)


def _read(path: Path) -> Any:
    """The content of a YAML file as DVC reads it: in YAML 1.2, where 1e-06 is a number."""
    return YAML(typ="safe").load(path)


def _fill(value: Any, scope: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, scope) for item in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: str(look_up(scope, match.group(1))), value)
    return value
