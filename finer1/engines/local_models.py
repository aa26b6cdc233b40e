"""The model that an engine of this process runs: the project's own, or a teacher by name."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from finer1.engines.interface import EngineSettings
from finer1.files import sha256_folder

_PINNED = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})")

_ANY_OF = (
    ("preprocessor_config.json", "processor_config.json"),
    ("tokenizer.json", "tokenizer.model", "vocab.json"),
)
"""Of each group a model has one file or more, as its family has it."""


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
    folder, remedy = _named_folder(engine, name, settings.home)
    _check_whole(folder, f"{engine}:{name}", remedy)
    return _identified(folder, name, settings.home)


def find_text_model(kind: str, name: str, home: Path) -> LocalModel:
    """The text model `<kind>:<name>`, by the same rule; what its files are, its loader knows.

    Raises ValueError when there is no such model.
    """
    folder, _ = _named_folder(kind, name, home)
    return _identified(folder, name, home)


def own_model(folder: Path) -> LocalModel:
    """The model of a folder, known by its content."""
    return LocalModel(folder, sha256_folder(folder))


def _named_folder(kind: str, name: str, home: Path) -> tuple[Path, str]:
    """The folder that a name stands for, and what helps where files are missing in it."""
    folder = home / name
    if folder.is_dir():
        return folder, "copy all of the model's files into the folder"
    pinned = _PINNED.fullmatch(name)
    if pinned is None:
        raise ValueError(
            f"{kind}:{name} names neither a folder nor a model of the hub at a commit; write "
            f"{kind}:<folder> or {kind}:<owner>/<name>@<commit>, the commit with its 40 hex "
            "digits, as its page on the hub shows it under Files, History"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    hub_id, commit = pinned["id"], pinned["commit"]
    remedy = f"fetch it first: hf download {hub_id} --revision {commit}"
    try:
        return Path(snapshot_download(hub_id, revision=commit, local_files_only=True)), remedy
    except LocalEntryNotFoundError as error:
        raise ValueError(f"{kind}:{name}: the model is not on this disk; {remedy}") from error


def _identified(folder: Path, name: str, home: Path) -> LocalModel:
    """By its commit where the hub has it, by its content where it is a folder."""
    return own_model(folder) if (home / name).is_dir() else LocalModel(folder, name)


def _check_whole(folder: Path, name: str, remedy: str) -> None:
    """Raise ValueError unless weights, configs, tokenizer and processor are there.

    An interrupted download leaves a folder with some of the files. Without generation_config.json
    a model would not know where to stop, and nothing would say so.
    """
    index = folder / "model.safetensors.index.json"
    weights = {"model.safetensors"}
    if index.is_file():
        weights = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    needed = {"config.json", "generation_config.json", "tokenizer_config.json"} | weights
    groups = [(file,) for file in sorted(needed)] + list(_ANY_OF)
    missing = [
        " or ".join(group)
        for group in groups
        if not any((folder / file).is_file() for file in group)
    ]
    if missing:
        raise ValueError(
            f"{name}: {folder} lacks {len(missing)} files, the first is {missing[0]}; {remedy}"
        )
