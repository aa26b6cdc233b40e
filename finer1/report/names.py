"""What tables and figures call the models of a run."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from finer1.evaluation.verdicts import MODELS
from finer1.evaluation_params import CorruptedModel, GeneralModel, ModelEntry
from finer1.params import Params
from finer1.zoo.entry import read_entry

MODEL_NAMES = {"base": "base", "sft": "SFT", "tapo": "TAPO"}
"""The run's own models."""
_ENTRY = (".yaml", ".yml")


def titles(models: Mapping[str, ModelEntry | CorruptedModel | GeneralModel]) -> dict[str, str]:
    """Name in a section of params.yaml -> title of its entry in the zoo; a folder keeps the name.

    Raises ValueError when an entry cannot be read.
    """
    return {
        name: read_entry(Path(item.model)).title if item.model.endswith(_ENTRY) else name
        for name, item in models.items()
    }


def model_names(params: Params) -> dict[str, str]:
    """Model -> what it is called: the run's own first, then those of predict.models.

    A title that comes twice is told apart by the strategy, then by the name in the settings.
    """
    found = titles(params.predict.models)
    with_strategy = {
        name: f"{title}, {params.predict.models[name].strategy}" for name, title in found.items()
    }
    titled, asked = Counter(found.values()), Counter(with_strategy.values())
    names = dict(MODEL_NAMES)
    for name, title in found.items():
        if titled[title] == 1 and title not in MODEL_NAMES.values():
            names[name] = title
        elif asked[with_strategy[name]] == 1:
            names[name] = with_strategy[name]
        else:
            names[name] = f"{title} ({name})"
    assert tuple(names)[: len(MODELS)] == MODELS
    return names


def every_name(params: Params) -> dict[str, str]:
    """The same, and those of the models that are asked about corrupted images or benchmarks."""
    others = titles(params.general.models) | titles(params.robustness.models)
    return others | model_names(params)
