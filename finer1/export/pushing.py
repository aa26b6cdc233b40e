"""Bringing an exported folder to the Hugging Face hub, on request alone."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from finer1.export.folder import listed_files
from finer1.manifest import MANIFEST, check_folder

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class Push:
    """Where to."""

    repository: str
    """<owner>/<name>."""
    kind: Literal["model", "dataset"]
    is_private: bool
    token: str
    endpoint: str | None
    """Of another hub; None for huggingface.co."""


def check_repository(name: str, option: str) -> None:
    """Raise ValueError for what is no name of a repository; option: where it was given."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{option} {name}: write OWNER/NAME, as in lab/birds-3b")


def push_folder(folder: Path, push: Push, tell: Callable[[str], None]) -> str:
    """Upload all files of an exported folder in one commit; the address of the repository.

    The same commit takes away what an earlier export brought and this one lacks, by the list that
    it left. A repository that is there keeps its visibility; tell: is given it before the upload.
    Raises ValueError when a file is not as it was
    exported, OSError when the hub refuses, with what it says, or is away.
    """
    import httpx
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    check_folder(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hub = HfApi(endpoint=push.endpoint, token=push.token)
    try:
        made = hub.create_repo(
            push.repository, repo_type=push.kind, private=push.is_private, exist_ok=True
        )
        info = hub.repo_info(push.repository, repo_type=push.kind)
        tell("private" if info.private else "public")
        names = {path.relative_to(folder).as_posix() for path in files}
        gone = sorted(_exported_before(hub, push) - names)
        # Not upload_folder, which parts a large one into several commits: whoever loads it in
        # between would find half a model.
        hub.create_commit(
            push.repository,
            [
                *(CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files),
                *(CommitOperationDelete(name, is_folder=False) for name in gone),
            ],
            commit_message="Export of finer1",
            repo_type=push.kind,
        )
    except (HfHubHTTPError, httpx.HTTPError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = f"{folder} is whole, run the same again"
        if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
            owner = push.repository.partition("/")[0]
            hint = f"give HF_TOKEN the right to write to {owner}, and {hint}"
        raise OSError(f"{push.repository} was not uploaded: {said}; {hint}") from error
    return str(made)


def _exported_before(hub: "HfApi", push: Push) -> set[str]:
    """The files in the repository that the export which was uploaded last has listed."""
    there = set(hub.list_repo_files(push.repository, repo_type=push.kind))
    if MANIFEST not in there:
        return set()
    with TemporaryDirectory() as scratch:
        path = hub.hf_hub_download(
            push.repository, MANIFEST, repo_type=push.kind, local_dir=scratch
        )
        return there & listed_files(Path(path))
