"""The Prefect flows over the stages of dvc.yaml, one task run per stage.

DVC decides whether a stage runs, Prefect when and again: a retried flow run passes over what is
finished, because DVC finds it up to date. Prefect's own cache is off.
"""

from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from flows.choices import QuestionsOrder, QuestionsPart, StageName
from flows.updating import Request, bring_up_to_date

_EVALUATION = ("questions", "predict", "baseline", "score", "report")


@flow(name="pipeline", validate_parameters=False)
def pipeline(
    assignments: tuple[str, ...] = (),
    pause_after: tuple[StageName, ...] = (),
    data_root: str = "",
) -> None:
    """Bring every stage up to date.

    Args:
        assignments: values to write to params.yaml first, each as key=value (seed=1)
        pause_after: stages after which the run pauses until someone resumes it
        data_root: folder of the datasets, for datasets that are read from one
    """
    request = Request(assignments, data_root, pauses=frozenset(pause_after))
    bring_up_to_date(request, Path.cwd())


@flow(name="stage", validate_parameters=False)
def stage(
    stages: tuple[StageName, ...],
    only: bool = False,
    assignments: tuple[str, ...] = (),
    data_root: str = "",
) -> None:
    """Bring chosen stages up to date.

    Args:
        stages: the stages
        only: just these, not the stages that they need
        assignments: values to write to params.yaml first, each as key=value (sft.epochs=3)
        data_root: folder of the datasets, for datasets that are read from one
    """
    request = Request(assignments, data_root, stages, only)
    bring_up_to_date(request, Path.cwd())


@flow(name="evaluate", validate_parameters=False)
def evaluate(
    part: QuestionsPart | None = None,
    order: QuestionsOrder | None = None,
    images_per_class: Annotated[int, Field(ge=1)] | None = None,
    also: tuple[Literal["robustness", "general", "analysis"], ...] = (),
    assignments: tuple[str, ...] = (),
) -> None:
    """Question, score and report the trained models again; trains nothing.

    Args:
        part: images that are asked about; written to questions.part
        order: of the options of closed questions; written to questions.order
        images_per_class: at most so many; written to questions.images_per_class
        also: further evaluations, of the models that params.yaml names for them
        assignments: other values to write to params.yaml first, each as key=value
    """
    asked = {"part": part, "order": order, "images_per_class": images_per_class}
    words = [f"questions.{key}={value}" for key, value in asked.items() if value is not None]
    kinds = frozenset((*_EVALUATION, *also))
    request = Request([*words, *assignments], only=True, kinds=kinds)
    bring_up_to_date(request, Path.cwd())
