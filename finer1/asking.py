"""How a model is asked when it is used: as it was in its training.

A folder says it in `finer1.json`; of a folder inside a project the project says it.
"""

from dataclasses import asdict
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer1.evaluation_params import Strategy
from finer1.files import write_json
from finer1.params import Params, load_params
from finer1.prompts import SYSTEM_PROMPTS, WORDINGS
from finer1.records import SplitRecord, read_jsonl

FILE = "finer1.json"
"""In a model's folder; nothing but finer1 reads it."""
_PARAMS = "params.yaml"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Asking:
    """How a model is asked."""

    strategy: Strategy
    system: str
    """Text of the system turn; empty for none."""
    categories: tuple[str, ...]
    """Words for what the images show that it was trained on; none where that is not known."""
    max_tokens: int
    """Longest completion."""
    temperature: float
    """Of the completions that vote."""
    top_p: float

    def category(self, given: str | None) -> str:
        """The word to ask with. Raises ValueError when none was given and several could be meant.

        A word that the model has not met in training is asked with all the same.
        """
        if given:
            return given
        if len(self.categories) == 1:
            return self.categories[0]
        known = f"; the model was trained on {', '.join(self.categories)}"
        raise ValueError(
            "say what the images show (category, as in bird)" + (known if self.categories else "")
        )


def asking_of(params: Params, categories: tuple[str, ...]) -> Asking:
    """How the models of a run are asked."""
    settings = params.tapo
    has_system = WORDINGS[settings.strategy].has_system
    return Asking(
        strategy=settings.strategy,
        system=SYSTEM_PROMPTS[params.prompt.system] if has_system else "",
        categories=categories,
        max_tokens=settings.max_completion_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
    )


def find_asking(folder: Path) -> Asking:
    """How the model in a folder is asked.

    Raises ValueError when neither the folder nor a project around it says so.
    """
    path = folder / FILE
    if path.is_file():
        try:
            return TypeAdapter(_File).validate_json(path.read_bytes()).asking
        except ValidationError as error:
            raise ValueError(f"{path} is broken; write it anew ({error})") from error
    for root in folder.absolute().parents:
        if (root / _PARAMS).is_file() and (root / "dvc.yaml").is_file():
            params = load_params(root / _PARAMS)
            return asking_of(params, _categories(root / params.paths.splits))
    raise ValueError(
        f"{folder} has no {FILE} and lies in no project, so that it is not known how it was "
        f"trained to be asked; give Recognizer.load an Asking, or write one there ({__name__})"
    )


def write_asking(folder: Path, asking: Asking) -> None:
    """Write the file beside the weights."""
    write_json(folder / FILE, {"asking": asdict(asking)})


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class _File:
    asking: Asking


def _categories(splits: Path) -> tuple[str, ...]:
    if not splits.is_file():
        return ()
    return tuple(sorted({row.image.category for row in read_jsonl(splits, SplitRecord)}))
