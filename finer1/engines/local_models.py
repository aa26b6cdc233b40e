"""The model that an engine of this process runs: the project's own, or a teacher by name."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from finer1.engines.interface import EngineSettings
from finer1.files import sha256_folder

_PINNED = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True)
class LocalModel:
    """A model whose files are on this disk."""

    folder: Path
    """In the Hugging Face layout: config, safetensors, tokenizer, processor."""
    identity: str
    """Names its content: SHA-256 of the folder, or `<hub id>@<commit>`."""


def find_model(engine: str, settings: EngineSettings) -> LocalModel:
    """What follows the colon of the engine's name; without, the settings' own model.

    engine: its name, for messages. Nothing is fetched. Raises ValueError when there is no such
    model or its files are not all there.
    """
    name = settings.named_model
    if name is None:
        if settings.model is None:
            raise ValueError(
                f"the engine `{engine}` needs a model folder, or a model of the hub at a commit: "
                f"{engine}:<folder> or {engine}:<owner>/<name>@<commit>"
            )
        return own_model(settings.model)
    folder = settings.home / name
    if folder.is_dir():
        _check_whole(folder, f"{engine}:{name}", "copy all of the model's files into the folder")
        return own_model(folder)
    pinned = _PINNED.fullmatch(name)
    if pinned is None:
        raise ValueError(
            f"{engine}:{name} names neither a folder nor a model of the hub at a commit; write "
            f"{engine}:<folder> or {engine}:<owner>/<name>@<commit>, the commit with its 40 hex "
            "digits, as its page on the hub shows it under Files, History"
        )
    return LocalModel(_hub_folder(engine, pinned["id"], pinned["commit"]), name)


def own_model(folder: Path) -> LocalModel:
    """The model of a folder, known by its content."""
    return LocalModel(folder, sha256_folder(folder))


def _hub_folder(engine: str, hub_id: str, commit: str) -> Path:
    """The folder of the hub's files at a commit, from the cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    remedy = f"fetch it first: hf download {hub_id} --revision {commit}"
    try:
        folder = Path(snapshot_download(hub_id, revision=commit, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ValueError(
            f"{engine}:{hub_id}@{commit}: the model is not on this disk; {remedy}"
        ) from error
    _check_whole(folder, f"{engine}:{hub_id}@{commit}", remedy)
    return folder


def _check_whole(folder: Path, name: str, remedy: str) -> None:
    """Raise ValueError unless the config, the weights and the tokenizer's config are there.

    An interrupted download leaves a folder with some of the files.
    """
    index = folder / "model.safetensors.index.json"
    weights = {"model.safetensors"}
    if index.is_file():
        weights = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    needed = {"config.json", "tokenizer_config.json"} | weights
    missing = sorted(file for file in needed if not (folder / file).is_file())
    if missing:
        raise ValueError(
            f"{name}: {folder} lacks {len(missing)} files, the first is {missing[0]}; {remedy}"
        )
