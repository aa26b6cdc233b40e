"""The model that an engine of this process runs: the project's own, or a teacher by name."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer1.engines.adapters import read_adapter
from finer1.engines.interface import EngineSettings
from finer1.manifest import model_identity

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PINNED = re.compile(rf"(?P<id>{_HUB_ID.pattern})@(?P<commit>[0-9a-f]{{40}})")

_ANY_OF = (
    ("preprocessor_config.json", "processor_config.json"),
    ("tokenizer.json", "tokenizer.model", "vocab.json"),
)
"""Of each group a model has one file or more, as its family has it."""

_PROCESSOR_FILES = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer_config.json",
)
_CLASS_KEYS = {
    "AutoProcessor": "processor_class",
    "AutoImageProcessor": "image_processor_type",
    "AutoVideoProcessor": "video_processor_type",
    "AutoFeatureExtractor": "feature_extractor_type",
    "AutoTokenizer": "tokenizer_class",
}
"""What auto_map of these files may give code for -> the key beside it that names a class of
transformers, which is then taken in its place."""


@dataclass(frozen=True)
class LocalModel:
    """A model whose files are on this disk."""

    folder: Path
    """In the Hugging Face layout: config, safetensors, tokenizer, processor."""
    identity: str
    """Names its content: SHA-256 of the folder, or `<hub id>@<commit>`; and of its adapters."""
    adapter: Path | None = None
    """Folder of LoRA adapters that belong into it."""


def find_model(engine: str, settings: EngineSettings) -> LocalModel:
    """What follows the colon of the engine's name; without, the settings' own model.

    Adapters of the settings belong into that one, and without any into the model that they name.
    engine: its name, for messages. Nothing is fetched. Raises ValueError when there is no such
    model, its files are not all there, or its weights need code of their own.
    """
    if settings.adapter is None:
        base = _find_base(engine, settings)
        _check_native(base.folder)
        return base
    adapter = read_adapter(settings.adapter)
    if settings.named_model is None and settings.model is None:
        base = _adapted_model(adapter.base, adapter.revision, settings)
    else:
        base = _find_base(engine, settings)
    _check_native(base.folder)
    return LocalModel(base.folder, f"{base.identity}+{adapter.identity}", adapter.folder)


def _find_base(engine: str, settings: EngineSettings) -> LocalModel:
    name = settings.named_model
    if name is not None:
        folder, remedy = _named_folder(engine, name, settings.home)
        _check_whole(folder, f"{engine}:{name}", remedy)
        return _identified(folder, name, settings.home)
    if settings.model is None:
        raise ValueError(
            f"the engine `{engine}` needs a model folder, or a model of the hub at a commit: "
            f"{engine}:<folder> or {engine}:<owner>/<name>@<commit>"
        )
    return own_model(settings.model)


def _adapted_model(base: str, revision: str | None, settings: EngineSettings) -> LocalModel:
    """The model that the settings' adapters were trained on."""
    if (settings.home / base).is_dir():
        return own_model(settings.home / base)
    if _HUB_ID.fullmatch(base) is None:
        raise ValueError(
            f"{settings.adapter}: the base model {base} is not on this disk; write its folder or "
            f"its id of the hub into base_model_name_or_path of {settings.adapter}/adapter_config"
            ".json"
        )
    try:
        found = find_snapshot(base, revision)
    except ValueError as error:
        raise ValueError(f"{settings.adapter}: the base model {error}") from error
    _check_whole(found.folder, base, f"fetch it again: hf download {base}")
    return found


def find_snapshot(hub_id: str, revision: str | None) -> LocalModel:
    """The model of the hub that this disk has, by the commit that the snapshot is of.

    revision: a commit or branch; None for `main`. Raises ValueError when it was not fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        remedy = f"hf download {hub_id}" + (f" --revision {revision}" if revision else "")
        raise ValueError(f"{hub_id} is not on this disk; fetch it first: {remedy}") from error
    return LocalModel(folder, f"{hub_id}@{folder.name}")


def find_text_model(kind: str, name: str, home: Path) -> LocalModel:
    """The text model `<kind>:<name>`, by the same rule; what its files are, its loader knows.

    Raises ValueError when there is no such model.
    """
    folder, _ = _named_folder(kind, name, home)
    return _identified(folder, name, home)


def own_model(folder: Path) -> LocalModel:
    """The model of a folder, known by its content.

    Raises ValueError for files that are not as its manifest says.
    """
    return LocalModel(folder, model_identity(folder))


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
    hub_id, commit = pinned["id"], pinned["commit"]
    try:
        found = find_snapshot(hub_id, commit)
    except ValueError as error:
        raise ValueError(f"{kind}:{name}: the model {error}") from error
    return found.folder, f"fetch it first: hf download {hub_id} --revision {commit}"


def _identified(folder: Path, name: str, home: Path) -> LocalModel:
    """By its commit where the hub has it, by its content where it is a folder."""
    return own_model(folder) if (home / name).is_dir() else LocalModel(folder, name)


def _check_native(folder: Path) -> None:
    """Raise ValueError when transformers itself has no class for what a folder holds."""
    config = _read_json(folder / "config.json")
    if config.get("auto_map"):
        from transformers import CONFIG_MAPPING

        if config.get("model_type") not in CONFIG_MAPPING:
            raise ValueError(
                f"{folder}: these weights need code that comes with them, which is never run here; "
                "start an OpenAI-compatible server for them yourself and write an entry of the "
                "kind `server` (docs/models.md)"
            )
    for name in _PROCESSOR_FILES:
        for part in _mappings(_read_json(folder / name)):
            for key in _foreign(part):
                raise ValueError(
                    f"{folder / name}: {key} needs code that comes with the model, which is never "
                    "run here; take a copy of the model in transformers' own layout"
                )


def _read_json(path: Path) -> dict[str, Any]:
    """Empty without the file: whoever loads the model says what is missing."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """A mapping of a JSON file, and those in it: a processor's file may hold those of its parts."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _mappings(item)


def _foreign(config: dict[str, Any]) -> Iterator[str]:
    """Keys of auto_map for which transformers has no class of its own."""
    named = config.get("auto_map") or {}
    if not isinstance(named, dict):  # older tokenizers: a list of the slow and the fast one
        named = {"AutoTokenizer": named}
    for key in sorted(_CLASS_KEYS.keys() & named.keys()):
        import transformers

        own = str(config.get(_CLASS_KEYS[key]))
        if not hasattr(transformers, own) and not hasattr(transformers, own.removesuffix("Fast")):
            yield key


def _check_whole(folder: Path, name: str, remedy: str) -> None:
    """Raise ValueError unless weights, configs, tokenizer and processor are there.

    An interrupted download leaves a folder with some of the files. Where neither
    generation_config.json nor config.json says so, a model would not know where to stop, and
    nothing would say so.
    """
    index = folder / "model.safetensors.index.json"
    weights = {"model.safetensors"}
    if index.is_file():
        weights = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    needed = {"config.json", "tokenizer_config.json"} | weights
    if not _says_where_to_stop(folder / "config.json"):
        needed.add("generation_config.json")
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


def _says_where_to_stop(path: Path) -> bool:
    if not path.is_file():
        return False
    config = json.loads(path.read_text(encoding="utf-8"))
    places = (config, config.get("text_config") or {})
    return any(place.get("eos_token_id") is not None for place in places)
