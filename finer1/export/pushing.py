"""Bringing an exported folder to the Hugging Face hub, on request alone."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finer1.manifest import check_folder

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


def check_repository(name: str) -> None:
    """Raise ValueError for what is no name of a repository."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"--push {name}: write OWNER/NAME, as in lab/birds-3b")


def push_folder(folder: Path, push: Push) -> str:
    """Upload all files of an exported folder in one commit; the address of the repository.

    A repository that is there keeps its visibility. Raises ValueError when a file is not as it was
    exported, OSError when the hub refuses, with what it says, or is away.
    """
    import httpx
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    check_folder(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hub = HfApi(endpoint=push.endpoint, token=push.token)
    try:
        made = hub.create_repo(
            push.repository, repo_type=push.kind, private=push.is_private, exist_ok=True
        )
        # Not upload_folder, which parts a large one into several commits: whoever loads it in
        # between would find half a model.
        hub.create_commit(
            push.repository,
            [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files],
            commit_message="Export of finer1",
            repo_type=push.kind,
        )
    except (HfHubHTTPError, httpx.HTTPError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OSError(
            f"{push.repository} was not uploaded: {said}; {folder} is whole, run the same again"
        ) from error
    return str(made)
