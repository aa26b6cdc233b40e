"""What tables and figures call the models of a run."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from finer1.evaluation_params import ModelEntry, NamedModel
from finer1.params import Params
from finer1.zoo.entry import read_entry
from finer1.zoo.loading import CLIP_CONFIG

MODEL_NAMES = {"base": "base", "sft": "SFT", "tapo": "TAPO"}
"""The run's own models."""
_ENTRY = (".yaml", ".yml")


def titles(models: Mapping[str, ModelEntry | NamedModel]) -> dict[str, str]:
    """Name in a section of params.yaml -> title of its entry in the zoo; a folder keeps the name.

    Raises ValueError when an entry cannot be read.
    """
    return {
        name: read_entry(Path(item.model)).title if item.model.endswith(_ENTRY) else name
        for name, item in models.items()
    }


def model_names(params: Params) -> dict[str, str]:
    """Model -> what it is called: the run's own first, then those of predict.models."""
    return MODEL_NAMES | names_in(params.predict.models)


def names_in(models: Mapping[str, ModelEntry | NamedModel]) -> dict[str, str]:
    """What the models of a section of params.yaml are called: by title, and how they are asked.

    base, sft and tapo stand for the models of the run. Names that would come twice have the name
    in the settings behind them. Raises ValueError when an entry cannot be read.
    """
    known = titles(models) | {name: MODEL_NAMES[name] for name in models if name in MODEL_NAMES}
    asked = {name: f"{known[name]}{_strategy(item)}" for name, item in models.items()}
    times = Counter([*asked.values(), *MODEL_NAMES.values()])
    return {
        name: text if name in MODEL_NAMES or times[text] == 1 else f"{text} ({name})"
        for name, text in asked.items()
    }


def _strategy(item: ModelEntry | NamedModel) -> str:
    """How a model that writes is asked, where it is not as the run's own are trained."""
    if isinstance(item, NamedModel) or item.strategy == "trained":
        return ""
    path = Path(item.model)
    is_entry = item.model.endswith(_ENTRY)
    is_clip = read_entry(path).kind == "clip" if is_entry else (path / CLIP_CONFIG).is_file()
    return "" if is_clip else f", strategy {item.strategy}"
