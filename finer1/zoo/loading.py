"""Find the model that a path stands for, and start an engine for it.

A path is a folder of weights (of a CLIP model with open_clip_config.json), a folder of LoRA
adapters (adapter_config.json), or an entry of the zoo (a YAML file). Nothing is fetched.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from finer1.engines import adapters
from finer1.engines.interface import Engine, EngineSettings, load_engine
from finer1.engines.local_models import find_snapshot
from finer1.evaluation_params import Strategy
from finer1.zoo.entry import HUB_ID, Entry, Kind, OwnPrompts, read_entry

CLIP_CONFIG = "open_clip_config.json"
"""As in finer1/encoders/open_clip.py, which takes long to import."""


@dataclass(frozen=True)
class AskedModel:
    """A model that can be asked, as it was found."""

    kind: Kind
    path: Path
    """What the settings name."""
    name: str | None
    """As engines take it after their colon. chat: a folder, absolute, or `<hub id>@<commit>`; None
    where the adapters name it. clip, server: the entry's `model`, or `open_clip:<folder>`."""
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
    if (path / CLIP_CONFIG).is_file():  # beside it a config.json may lie
        return AskedModel("clip", path, f"open_clip:{path}", None, None)
    if (path / "config.json").is_file():
        return AskedModel("chat", path, str(path.absolute()), None, None)
    raise ValueError(
        f"{path} is no model: it is neither a folder of weights (config.json, or {CLIP_CONFIG}), "
        f"nor one of adapters ({adapters.CONFIG}), nor an entry of the zoo "
        "(finer1/zoo/<name>.yaml)"
    )


def find_for_stage(path: Path, home: Path, stage: str) -> AskedModel:
    """The model of `path` for a DVC stage, which depends on `path` alone.

    Raises ValueError as find_asked, and for an entry that names a folder or file of this disk: its
    content could change, and the stage would not run again. The base of adapters can, too, which is
    logged.
    """
    model = find_asked(path, home)
    if model.entry is not None:
        _refuse_unseen(path, model.entry, home)
    if model.adapter is not None:
        base = adapters.read_adapter(model.adapter).base
        if (home / base).is_dir():
            logging.getLogger(__name__).warning(
                "%s: DVC does not see changes of its base model, the folder %s; after one run "
                "`dvc repro -f %s`",
                *(path, base, stage),
            )
    return model


def check_strategy(model: AskedModel, strategy: Strategy) -> None:
    """Raise ValueError for `trained` and an entry without templates.

    This project's own words do not ask for the tags that its answers would be looked for in. A
    folder may hold a model that was trained here, and knows them.
    """
    asks = model.entry is not None and model.kind != "clip"
    if strategy == "trained" and asks and model.prompts is None:
        raise ValueError(
            f"{model.path}: it has no templates of its own, which the strategy trained uses; "
            "choose released, direct, cot or think"
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


def _refuse_unseen(path: Path, entry: Entry, home: Path) -> None:
    named = {"adapter": str(entry.adapter or ""), "model": entry.model}
    if entry.kind == "clip":
        # A folder, or a model of open_clip with a file of weights.
        rest = entry.model.partition(":")[2]
        weights = rest.partition(":")[2]
        named["model"] = rest if (home / rest).is_dir() else weights
    elif entry.kind == "server":
        return
    for key, value in named.items():
        if value and (home / value).exists():
            also = f", for CLIP one with {CLIP_CONFIG}," if entry.kind == "clip" else ""
            raise ValueError(
                f"{path}: {key}: {value} lies on this disk, and a stage that names the entry would "
                f"not see a change of it; name the folder itself{also} in place of the entry"
            )


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
