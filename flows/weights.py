"""What a run needs that no stage makes: weights, decisions; what is missing, and what helps."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_never

from finer1.encoders.at_hand import missing_open_clip
from finer1.engines.local_models import find_snapshot
from finer1.experiment_params import Need
from finer1.params import Params
from finer1.zoo.entry import read_entry
from flows.plan import SECTIONS_OF_MODELS

_ZOO = Path("finer1/zoo")
_LOCAL_ENGINES = ("vllm", "transformers")


def missing_weights(params: Params, home: Path, is_tracked: Callable[[Path], bool]) -> list[str]:
    """A sentence per model that the stages would not find, with what fetches it.

    home: the project's folder. is_tracked: whether git has something at a path of it.
    """
    found = [_missing_base(params, home, is_tracked)]
    for section, engine in (("concepts", params.concepts.engine), ("cot", params.cot.engine)):
        found.append(_missing_teacher(f"{section}.engine", engine, home))
    encoders = {"triplets.encoder": params.triplets.encoder, "score.encoder": params.score.encoder}
    if params.cot.source == "teacher":
        encoders["concepts.encoder"] = params.concepts.encoder
    if params.questions.options == "clip":
        encoders["questions.encoder"] = params.questions.encoder
    for key, encoder in encoders.items():
        found.append(_missing_encoder(key, encoder, home))
    for name, path in _entries(params):
        found.append(_missing_entry(f"predict.models.{name}", path, home))
    return list(dict.fromkeys(sentence for sentence in found if sentence))


def local_base(params: Params, home: Path, is_tracked: Callable[[Path], bool]) -> dict[str, object]:
    """Differences that name an untracked base by its absolute path: runs work in a copy of git's.

    Empty where the copy has it, or nobody does.
    """
    base = params.paths.base
    if base.is_absolute() or _is_copied(params, is_tracked) or not (home / base).is_dir():
        return {}
    place = str((home / base).resolve())
    found: dict[str, object] = {"paths.base": place}
    values = params.model_dump(mode="json")
    for section in SECTIONS_OF_MODELS:
        models = values[section]["models"]
        for entry in models.values():
            if Path(entry["model"]) == base:
                entry["model"] = place
        if models:
            found[f"{section}.models"] = models
    return found


def lacks(need: Need, params: Params, home: Path) -> str | None:
    """What is missing of a row's need, and what helps; None when it is there."""
    if need == "clip":
        found = (_missing_entry(f"predict.models.{n}", p, home) for n, p in _entries(params))
        return next((sentence for sentence in found if sentence), None)
    if need == "decisions":
        path = home / params.paths.decisions
        if params.review.stand_in != "none" and params.download.datasets == ("world",):
            return None
        if path.is_file() and path.stat().st_size:
            return None
        return f"{params.paths.decisions} holds no decisions; make some: finer1 review"
    assert_never(need)


def _is_copied(params: Params, is_tracked: Callable[[Path], bool]) -> bool:
    """Git has the folder, or the file with which DVC restores it, or a stage makes it."""
    base = params.paths.base
    if base in [params.paths.bases / name for name in params.pretrain.models]:
        return True
    return is_tracked(base) or is_tracked(base.with_name(f"{base.name}.dvc"))


def _missing_base(params: Params, home: Path, is_tracked: Callable[[Path], bool]) -> str | None:
    base = params.paths.base
    if _is_copied(params, is_tracked) or (home / base).is_dir():
        return None
    hub_ids = [read_entry(path).model for path in sorted((home / _ZOO).glob("*.yaml"))]
    known = [item for item in hub_ids if item.rpartition("/")[2].lower() == base.name.lower()]
    hub_id = known[0] if known else "OWNER/NAME"
    return f"paths.base: {base} is not there; fetch it: hf download {hub_id} --local-dir {base}"


def _missing_teacher(key: str, engine: str, home: Path) -> str | None:
    kind, _, name = engine.partition(":")
    if kind == "openai" and "FINER1_SERVER" not in os.environ:
        return f"{key}: {engine} needs the address of its server in FINER1_SERVER"
    if kind not in _LOCAL_ENGINES or not name:
        return None
    return _missing_hub(key, name, home)


def _missing_encoder(key: str, encoder: str, home: Path) -> str | None:
    kind, _, name = encoder.partition(":")
    if kind in ("siglip", "hf", "st"):
        return _missing_hub(key, name, home)
    if kind == "open_clip":
        missing = missing_open_clip(encoder, home)
        return missing and f"{key}: {missing}"
    return None


def _missing_hub(key: str, name: str, home: Path) -> str | None:
    """name: a folder, or `<owner>/<name>@<commit>`."""
    if (home / name).is_dir():
        return None
    hub_id, _, commit = name.partition("@")
    if hub_id.count("/") != 1:  # No name of the hub.
        found = f"hf download OWNER/{Path(name).name} --local-dir {name}"
        return f"{key}: {name} is not there; fetch it: {found}"
    try:
        find_snapshot(hub_id, commit or None)
    except ValueError as error:
        return f"{key}: {error}"
    return None


def _missing_entry(key: str, path: Path, home: Path) -> str | None:
    entry = read_entry(home / path)
    if entry.kind == "clip":
        missing = missing_open_clip(entry.model, home)
        return missing and f"{key}: {missing}"
    if entry.kind == "chat":
        return _missing_hub(key, f"{entry.model}@{entry.commit or ''}", home)
    return None


def _entries(params: Params) -> Iterator[tuple[str, Path]]:
    """The further models that are entries of the zoo."""
    for name, item in params.predict.models.items():
        if item.model.endswith((".yaml", ".yml")):
            yield name, Path(item.model)
