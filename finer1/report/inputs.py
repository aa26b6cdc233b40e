"""What the page is made from, read from the files of a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.images import ImageArchive
from finer1.params import Params
from finer1.records import (
    ClassKey,
    Concepts,
    ImageRecord,
    Prediction,
    Question,
    Rationale,
    SplitRecord,
    Triplet,
    read_jsonl,
)
from finer1.teacher.yields import ClassYield, read_yields

TRAINING_STAGES = ("sft", "tapo")

Series = tuple[tuple[int, float], ...]
"""(step, value) pairs, steps ascending."""


@dataclass(frozen=True)
class Inputs:
    """Everything the page shows."""

    params: Params
    metrics: Mapping[str, float]
    """Of the stage `score`."""
    recorded: Mapping[str, float]
    """Of the stages `split`, `triplets`, `review`, `sft` and `tapo`."""
    splits: Sequence[SplitRecord]
    questions: Sequence[Question]
    verdicts: Mapping[str, Sequence[Verdict]]
    """Model -> its verdicts, in the order of `questions`."""
    predictions: Mapping[str, Mapping[str, Prediction]]
    """Model -> question id -> prediction."""
    rationales: Sequence[Rationale]
    """After review."""
    concepts: Sequence[Concepts]
    triplets: Sequence[Triplet]
    triplet_sheet: bytes
    """Contact sheet of some of them, JPEG."""
    yields: Mapping[ClassKey, ClassYield]
    """Sub-category -> how the rationales about it fared."""
    logs: Mapping[str, Mapping[str, Series]]
    """Training stage -> metric -> its values over steps."""
    audit: Mapping[str, Mapping[str, Any]]
    """Dataset -> what was found on looking at its images."""
    archive: ImageArchive

    @property
    def images(self) -> dict[str, ImageRecord]:
        """Image id -> its row."""
        return {row.image.id: row.image for row in self.splits}


def read_inputs(params: Params) -> Inputs:
    """Read every file that the page needs. Raises ValueError for a broken row."""
    paths = params.paths
    verdicts = read_jsonl(paths.verdicts, Verdict)
    return Inputs(
        params=params,
        metrics=_read_metrics(paths.metrics, ("score",)),
        recorded=_read_metrics(paths.metrics, ("split", "triplets", "review", *TRAINING_STAGES)),
        splits=read_jsonl(paths.splits, SplitRecord),
        questions=read_jsonl(paths.questions, Question),
        verdicts={model: [row for row in verdicts if row.model == model] for model in MODELS},
        predictions={
            model: {
                row.question_id: row
                for row in read_jsonl(paths.predictions / f"{model}.jsonl", Prediction)
            }
            for model in MODELS
        },
        rationales=read_jsonl(paths.reviewed, Rationale),
        concepts=read_jsonl(paths.concepts, Concepts),
        triplets=read_jsonl(paths.triplets, Triplet),
        triplet_sheet=(paths.logs / "triplets.jpg").read_bytes(),
        yields=read_yields(paths.cot_yield),
        logs={stage: read_log(paths.logs / f"{stage}.jsonl") for stage in TRAINING_STAGES},
        audit=json.loads(paths.audit.read_text(encoding="utf-8")),
        archive=ImageArchive(paths.images),
    )


def _read_metrics(folder: Path, stages: Sequence[str]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for stage in stages:
        metrics |= json.loads((folder / f"{stage}.json").read_text(encoding="utf-8"))
    return metrics


def read_log(path: Path) -> dict[str, Series]:
    """Metric -> (step, value) pairs of a stage's log; empty when the stage logged no step."""
    if not path.exists():
        return {}
    series: dict[str, list[tuple[int, float]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            item = json.loads(line)
            for name, value in item["metrics"].items():
                series.setdefault(name, []).append((int(item["step"]), float(value)))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: no line of metrics ({error})") from error
    return {name: tuple(sorted(values)) for name, values in sorted(series.items())}
