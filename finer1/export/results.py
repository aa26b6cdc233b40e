"""What the stage `score` measured of one model, in the forms that the Hugging Face hub reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.utils import yaml_dump

from finer1.evaluation.metrics import CELLS
from finer1.files import write_atomic
from finer1.params import Params
from finer1.report.table import ORDERS, percent

TASK = "image-text-to-text"
_HUB = "hub:"
_LOCAL = "local/"
_STRICT = "one closed answer with exactly the right name"


@dataclass(frozen=True)
class Result:
    """Accuracy in one cell of the design; shares."""

    dataset: str
    """Empty: all of the run's together."""
    setting: str
    """open or closed."""
    side: str
    """seen or unseen."""
    value: float
    """Strict rule."""
    low: float
    high: float
    released: float
    """By the released evaluator's rule."""
    questions: int
    classes: int

    @property
    def interval(self) -> str:
        """`88.1 [84.2, 92.0]`, per cent."""
        return f"{percent(self.value)} [{percent(self.low)}, {percent(self.high)}]"


def read_results(metrics: Mapping[str, float], model: str, dataset: str = "") -> list[Result]:
    """The cells that were asked; of one dataset where it is named.

    metrics: those of the stage `score`. model: base, sft, tapo, or a name of predict.models.
    """
    found = []
    for setting, side in CELLS:
        key = "/".join(part for part in (model, dataset, setting, side) if part)
        if f"{key}/accuracy" not in metrics:
            continue
        value, low, high, released, questions, classes = (
            metrics[f"{key}/{name}"]
            for name in ("accuracy", "low", "high", "paper_accuracy", "n", "classes")
        )
        found.append(
            Result(
                *(dataset, setting, side, value, low, high, released), int(questions), int(classes)
            )
        )
    return found


def hub_dataset(params: Params, dataset: str) -> tuple[str, str | None]:
    """Id and revision of a dataset of the run; `local/<name>` for one that is not from the hub."""
    official = params.download.official(dataset)
    if official is None or not official.source.startswith(_HUB):
        return f"{_LOCAL}{dataset}", None
    name, _, revision = official.source.removeprefix(_HUB).partition("@")
    return name, revision or None


def model_index(results: Sequence[Result], params: Params, confidence: float) -> list[EvalResult]:
    """A result per dataset, setting and side, with its interval; values in per cent.

    params: of the run. confidence: of the intervals.
    """
    return [
        EvalResult(
            task_type=TASK,
            task_name="Fine-grained visual recognition",
            dataset_type=hub_dataset(params, row.dataset)[0],
            dataset_name=row.dataset,
            dataset_config=f"{row.setting}_{row.side}",
            dataset_split=params.questions.part,
            dataset_revision=hub_dataset(params, row.dataset)[1],
            metric_type="accuracy",
            metric_name=f"{row.setting}-world, {row.side} classes: {_STRICT}",
            metric_value=round(100 * row.value, 2),
            metric_args={
                "confidence": confidence,
                "low": round(100 * row.low, 2),
                "high": round(100 * row.high, 2),
                "questions": row.questions,
                "classes": row.classes,
                "released_rule": round(100 * row.released, 2),
            },
        )
        for row in results
    ]


def write_entries(
    folder: Path, results: Sequence[Result], params: Params, confidence: float
) -> None:
    """Write .eval_results/<dataset>.yaml, the hub's present form, for each dataset of the hub."""
    for dataset in dict.fromkeys(row.dataset for row in results):
        name, revision = hub_dataset(params, dataset)
        if name.startswith(_LOCAL):
            continue
        entries = [
            EvalResultEntry(
                dataset_id=name,
                dataset_revision=revision,
                task_id=f"{row.setting}_{row.side}",
                value=round(100 * row.value, 2),
                notes=_notes(row, params, confidence),
            )
            for row in results
            if row.dataset == dataset
        ]
        text = yaml_dump(eval_result_entries_to_yaml(entries))
        write_atomic(folder / ".eval_results" / f"{dataset}.yaml", text.encode())


def _notes(row: Result, params: Params, confidence: float) -> str:
    order = f", {ORDERS[params.questions.order]}" if row.setting == "closed" else ""
    return (
        f"accuracy in %, {_STRICT}{order}; {100 * confidence:.0f} % interval "
        f"{percent(row.low)} to {percent(row.high)} over {row.classes} classes, {row.questions} "
        f"questions of the {params.questions.part} images; released rule {percent(row.released)}"
    )
