"""Find the model that a path stands for, and start an engine for it.

A path is a folder of weights, a folder of LoRA adapters (adapter_config.json), or an entry of the
zoo (a YAML file). Nothing is fetched.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from finer1.engines import adapters
from finer1.engines.interface import Engine, EngineSettings, load_engine
from finer1.engines.local_models import find_snapshot
from finer1.zoo.entry import HUB_ID, Entry, Kind, OwnPrompts, read_entry


@dataclass(frozen=True)
class AskedModel:
    """A model that can be asked, as it was found."""

    kind: Kind
    path: Path
    """What the settings name."""
    name: str | None
    """As engines take it after their colon. chat: a folder, absolute, or `<hub id>@<commit>`; None
    where the adapters name it. clip, server: the entry's `model`."""
    adapter: Path | None
    """Folder of LoRA adapters on top."""
    entry: Entry | None
    """None for a folder."""

    @property
    def prompts(self) -> OwnPrompts | None:
        """The model's own templates, for the strategy `trained`."""
        return self.entry.own_prompts if self.entry else None

    @property
    def answer_from(self) -> Literal["tags", "text"]:
        """How its own templates are answered."""
        return self.entry.answer_from if self.entry else "tags"


def find_asked(path: Path, home: Path) -> AskedModel:
    """The model of `path`, which is relative to the working folder.

    home: the project's folder, which an entry's own paths are relative to. Raises ValueError when
    there is none, an entry is wrong, or a model of the hub is not on this disk.
    """
    if path.suffix in (".yaml", ".yml"):
        return _of_entry(path, read_entry(path), home)
    if (path / adapters.CONFIG).is_file():
        return AskedModel("chat", path, None, path, None)
    if (path / "config.json").is_file():
        return AskedModel("chat", path, str(path.absolute()), None, None)
    raise ValueError(
        f"{path} is no model: it is neither a folder of weights (config.json), nor one of adapters "
        f"({adapters.CONFIG}), nor an entry of the zoo (finer1/zoo/<name>.yaml)"
    )


def load_asked(model: AskedModel, engine: str, settings: EngineSettings) -> Engine:
    """Start `engine`, as runtime.engine names it, for a chat model, or `openai` for a server.

    settings: all but the model, with server, api_key and teacher for a server. Raises ValueError
    for a clip model, which chooses among options (finer1/evaluation/clip.py), for an engine that
    cannot take the model, and as the engine's `load`; ConnectionError when a server is silent.
    """
    if model.kind == "clip":
        raise ValueError(
            f"{model.path} is a CLIP model, which writes nothing: it can only be asked closed "
            "questions, as an entry of predict.models"
        )
    if model.kind == "server":
        from finer1.serving.protocol import check_address

        check_address(settings.server, str(model.path), "FINER1_EVAL_SERVER")
        return load_engine(f"openai:{model.name}", settings)
    if engine == "vllm_server":
        raise ValueError(
            f"{model.path} cannot be run by a vLLM server that was started for the run's own "
            "models; set runtime.engine to vllm or transformers"
        )
    chosen = replace(settings, model=None, teacher=None, adapter=_absolute(model.adapter))
    return load_engine(f"{engine}:{model.name}" if model.name else engine, chosen)


def _of_entry(path: Path, entry: Entry, home: Path) -> AskedModel:
    if entry.kind != "chat":
        return AskedModel(entry.kind, path, entry.model, None, entry)
    adapter = home / entry.adapter if entry.adapter else None
    folder = home / entry.model
    if folder.is_dir():
        return AskedModel("chat", path, str(folder.absolute()), adapter, entry)
    if HUB_ID.fullmatch(entry.model) is None:
        raise ValueError(
            f"{path}: model: {entry.model} is neither a folder nor an id of the hub, <owner>/<name>"
        )
    try:
        found = find_snapshot(entry.model, entry.commit)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return AskedModel("chat", path, found.identity, adapter, entry)


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None
