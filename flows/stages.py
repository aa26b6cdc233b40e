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
Settings = list[str]


@flow(name="pipeline", validate_parameters=False)
def pipeline(
    assignments: Settings | None = None,
    data_root: str | None = None,
    pause_after: list[StageName] | None = None,
) -> None:
    """Bring every stage up to date.

    Args:
        assignments: values to write to params.yaml first, each as key=value (seed=1)
        data_root: folder of the datasets, for datasets that are read from one
        pause_after: stages after which the run pauses until someone resumes it
    """
    request = Request(assignments or [], data_root, pauses=frozenset(pause_after or ()))
    bring_up_to_date(request, Path.cwd())


@flow(name="stage", validate_parameters=False)
def stage(
    stages: list[StageName],
    only: bool = False,
    assignments: Settings | None = None,
    data_root: str | None = None,
) -> None:
    """Bring chosen stages up to date.

    Args:
        stages: the stages
        only: just these, not the stages that they need
        assignments: values to write to params.yaml first, each as key=value (sft.epochs=3)
        data_root: folder of the datasets, for datasets that are read from one
    """
    request = Request(assignments or [], data_root, tuple(stages), only)
    bring_up_to_date(request, Path.cwd())


@flow(name="evaluate", validate_parameters=False)
def evaluate(
    part: QuestionsPart | None = None,
    order: QuestionsOrder | None = None,
    images_per_class: Annotated[int, Field(ge=1)] | None = None,
    also: list[Literal["robustness", "general", "analysis"]] | None = None,
    assignments: Settings | None = None,
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
    kinds = frozenset((*_EVALUATION, *(also or ())))
    request = Request([*words, *(assignments or [])], None, None, True, kinds)
    bring_up_to_date(request, Path.cwd())
