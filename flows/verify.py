"""`finer1 verify`: everything that the stages wrote, against the hashes that were written with it.

    outputs of stages           dvc.lock, and for folders DVC's list of their files
    DVC's cache                 the name of an object is the MD5 of its content
    models without a stage      SHA256SUMS in the folder
    embeddings, generations     the name of a chunk, the sum of a line
    images of one's own         their index

A loaded model tells nothing of a flipped bit (safetensors has no sums), nor does DVC, which trusts
the time stamps of files.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.exit_codes import FAILED

_SUM = "md5"


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written."""

    path: Path
    what: str
    repair: str
    """The command by which it comes back, once it is removed."""
    line: int | None = None
    """Of a file whose other lines are whole."""


@dataclass
class Checked:
    """What was read, and what is wrong."""

    files: int
    bytes: int
    damages: list[Damage]


def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged, so that it comes back.")
    ] = False,
) -> None:
    """Read every artifact again and compare it with its hash; exit code 1 when one differs.

    Example: finer1 verify
    """
    from flows.dag import cache_folder
    from flows.workspace import hold

    root = Path.cwd()
    _refuse_no_project(root)
    start = time.monotonic()
    with hold(root) if repair else nullcontext():
        found = check_project(root, cache_folder(root))
        if repair:
            remove(found.damages)
    for damage in found.damages:
        inside = damage.path.is_relative_to(root)  # DVC's cache may lie elsewhere
        shown = damage.path.relative_to(root) if inside else damage.path
        print(f"  {shown} {damage.what}")
    amount, seconds = f"{found.bytes / 1e9:.2f} GB", f"{time.monotonic() - start:.1f} s"
    print(f"{found.files} files, {amount}, read in {seconds}: {len(found.damages)} wrong")
    if not found.damages:
        return
    commands = sorted({damage.repair for damage in found.damages})
    first = "removed; next:" if repair else "next: finer1 verify --repair, which removes them, then"
    print(f"{first} {'; '.join(commands)}")
    raise typer.Exit(FAILED)


def remove(damages: list[Damage]) -> None:
    """Remove what is damaged, and nothing else."""
    from finer1.engines.generation_file import remove_damaged

    for damage in damages:
        if damage.line is not None:
            continue
        if damage.path.is_dir():
            shutil.rmtree(damage.path)
        else:
            damage.path.unlink(missing_ok=True)
    for path in sorted({damage.path for damage in damages if damage.line is not None}):
        remove_damaged(path)


def _refuse_no_project(root: Path) -> None:
    if not (root / "dvc.yaml").exists():
        raise ValueError(f"{root} has no dvc.yaml; change to the project's folder")


def check_project(root: Path, dvc_cache: Path) -> Checked:
    """Everything that has a hash in the project at `root`; dvc_cache: where DVC keeps its copies.

    Raises ValueError when a killed run has left dvc.lock unreadable.
    """
    from finer1.params import load_params
    from flows.dag import is_readable_lock

    paths = load_params(root / "params.yaml").paths
    lock = root / "dvc.lock"
    if lock.exists() and not is_readable_lock(lock):
        raise ValueError(f"{lock} is unreadable; `finer1 run` repairs it")
    checked = Checked(0, 0, [])
    cache = dvc_cache / "files" / _SUM
    outs = [*_outs(lock)]
    _check_cache(cache, outs, checked)
    for stage, out in outs:
        _check_out(root, cache, stage, out, checked)
    held = {out["path"] for _, out in outs}
    for folder in _folders(root / paths.bases):
        if str(folder.relative_to(root)) not in held:
            _check_model(folder, f"git checkout -- {folder.relative_to(root)}", checked)
    _check_store(root, checked)
    for folder in _folders(root / paths.own):
        _check_own(folder, checked)
    return checked


def _outs(lock: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every output in dvc.lock, with its stage."""
    from ruamel.yaml import YAML

    content = (YAML(typ="safe").load(lock) if lock.exists() else None) or {}
    for stage, entry in content.get("stages", {}).items():
        for out in entry.get("outs", []):
            yield stage, out


def _check_cache(cache: Path, outs: list[tuple[str, dict[str, Any]]], checked: Checked) -> None:
    """Every object, since what is damaged comes back from there."""
    named = {out[_SUM]: (stage, out["path"]) for stage, out in outs}
    for path in sorted(cache.glob("[0-9a-f][0-9a-f]/*")):
        name = path.parent.name + path.name
        if path.is_file() and not _is(path, name.removesuffix(".dir"), checked):
            stage, out = named.get(name, ("", ""))
            what = f"is damaged (DVC's copy of {out or 'a file'})"
            checked.damages.append(Damage(path, what, f"finer1 run {stage}".strip()))


def _check_out(root: Path, cache: Path, stage: str, out: dict[str, Any], checked: Checked) -> None:
    path, repair, name = root / out["path"], f"finer1 run {stage}", out[_SUM]
    if not name.endswith(".dir"):
        _check_file(path, name, repair, checked)
        return
    before = len(checked.damages)
    for expected, relative in _members(_object(cache, name), name):
        _check_file(path / relative, expected, repair, checked)
    # Without DVC's list, or with a file too many, the folder's own sum tells.
    if len(checked.damages) == before and _folder_sum(path) != name:
        what = "holds other content than the stage wrote" if path.is_dir() else "is missing"
        checked.damages.append(Damage(path, what, repair))


def _folder_sum(path: Path) -> str:
    from tasks.identity import dvc_md5

    return dvc_md5(path) if path.is_dir() else ""


def _members(kept: Path, name: str) -> list[tuple[str, str]]:
    """MD5 and path of each file of a folder, by DVC's list of them; none where it is damaged."""
    content = kept.read_bytes() if kept.exists() else b""
    if hashlib.md5(content).hexdigest() + ".dir" != name:
        return []
    return [(item[_SUM], item["relpath"]) for item in json.loads(content)]


def _check_file(path: Path, expected: str, repair: str, checked: Checked) -> None:
    if not path.is_file():
        checked.damages.append(Damage(path, "is missing", repair))
    elif not _is(path, expected, checked):
        checked.damages.append(Damage(path, "is damaged", repair))


def _check_model(folder: Path, repair: str, checked: Checked) -> None:
    from finer1.manifest import damages

    checked.files += sum(1 for path in folder.rglob("*") if path.is_file())
    checked.bytes += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    checked.damages += [Damage(path, what, repair) for path, what in damages(folder)]


def _check_store(root: Path, checked: Checked) -> None:
    """What is computed once and kept: a damaged piece is computed again by whoever needs it."""
    from finer1.engines.generation_file import damaged_lines

    store = root / os.environ.get("FINER1_STORE", "models/.generations")
    for path in sorted(store.rglob("*.safetensors")):
        content = path.read_bytes()
        checked.files, checked.bytes = checked.files + 1, checked.bytes + len(content)
        if hashlib.sha256(content).hexdigest()[:32] != path.stem:
            checked.damages.append(Damage(path, "is damaged", "finer1 run"))
    for path in sorted(store.glob("*.jsonl")):
        checked.files, checked.bytes = checked.files + 1, checked.bytes + path.stat().st_size
        for number in damaged_lines(path):
            what = f"is damaged in line {number}"
            checked.damages.append(Damage(path, what, "finer1 run", number))


def _check_own(folder: Path, checked: Checked) -> None:
    from finer1.files import sha256_file
    from finer1.own.dataset import OwnImage
    from finer1.records import read_jsonl

    repair = f"finer1 data add --name {folder.name} --replace"
    try:
        rows = read_jsonl(folder / "index.jsonl", OwnImage)
    except (OSError, ValueError) as error:
        checked.damages.append(Damage(folder / "index.jsonl", f"is damaged ({error})", repair))
        return
    for row in rows:
        path = folder / "images" / row.path
        if not path.is_file():
            checked.damages.append(Damage(path, "is missing", repair))
            continue
        checked.files, checked.bytes = checked.files + 1, checked.bytes + path.stat().st_size
        if sha256_file(path) != row.sha256:
            checked.damages.append(Damage(path, "is damaged", repair))


def _is(path: Path, expected: str, checked: Checked) -> bool:
    """True for a file of that MD5."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, _SUM).hexdigest()
    checked.files, checked.bytes = checked.files + 1, checked.bytes + path.stat().st_size
    return found == expected


def _object(cache: Path, name: str) -> Path:
    return cache / name[:2] / name[2:]


def _folders(above: Path) -> list[Path]:
    return sorted(path for path in above.glob("[!.]*") if path.is_dir())
