"""What the page is made from, read from the files of a run."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer1.analysis.results import Analysis, read_analyses
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
from finer1.report.general_scores import Score, read_scores
from finer1.report.names import model_names
from finer1.teacher.yields import ClassYield, read_yields

TRAINING_STAGES = ("sft", "tapo")

GROUP = "group"
"""The one level of images' records, where the taxonomy's file has no row."""

Series = tuple[tuple[int, float], ...]
"""(step, value) pairs, steps ascending."""


ZERO_SHOT = "zero_shot"
"""Strategy of a model that chooses an option and writes nothing."""


@dataclass(frozen=True)
class Asked:
    """How a model was asked, as its predictions say."""

    identities: tuple[str, ...]
    strategies: tuple[str, ...]
    votes: int
    """Questions with votes."""
    is_untagged: bool = False
    """It was asked for the name alone, which the headline reads without tags as well."""


@dataclass(frozen=True)
class Described:
    """What the protocol is told from: files of the stages up to `predict`."""

    params: Params
    names: Mapping[str, str]
    """Model -> what it is called; the run's own first."""
    recorded: Mapping[str, float]
    """Of the stages `split`, `triplets`, `review`, `sft` and `tapo`."""
    splits: Sequence[SplitRecord]
    questions: Sequence[Question]
    asked: Mapping[str, Asked]
    """Model -> how it was asked."""
    predictions: Mapping[str, Mapping[str, Prediction]]
    """Model of the run -> question id -> prediction."""
    rationales: Sequence[Rationale]
    """After review."""
    triplets: Sequence[Triplet]
    logs: Mapping[str, Mapping[str, Series]]
    """Training stage -> metric -> its values over steps."""


@dataclass(frozen=True)
class Inputs(Described):
    """Everything the page shows."""

    metrics: Mapping[str, float]
    """Of the stage `score`."""
    verdicts: Mapping[str, Sequence[Verdict]]
    """Model -> its verdicts, in the order of `questions`."""
    benchmarks: Mapping[str, Sequence[Score]]
    """Model of params.general -> what it has in the benchmarks of Table 8."""
    analyses: Mapping[str, Analysis]
    """Model of params.analysis -> what its hidden states hold."""
    levels: Sequence[str]
    """Those of the taxonomy, from coarse to fine, the sub-category last."""
    concepts: Sequence[Concepts]
    triplet_sheet: bytes
    """Contact sheet of some of them, JPEG."""
    yields: Mapping[ClassKey, ClassYield]
    """Sub-category -> how the rationales about it fared."""
    audit: Mapping[str, Mapping[str, Any]]
    """Dataset -> what was found on looking at its images."""
    archive: ImageArchive

    @property
    def images(self) -> dict[str, ImageRecord]:
        """Image id -> its row."""
        return {row.image.id: row.image for row in self.splits}

    @property
    def wordless(self) -> frozenset[str]:
        """The models that choose an option and write nothing."""
        return frozenset(m for m, asked in self.asked.items() if ZERO_SHOT in asked.strategies)


def read_described(params: Params) -> Described:
    """Read what the protocol is told from. Raises ValueError for a broken row."""
    paths, names = params.paths, model_names(params)
    predictions, asked = _read_predictions(paths.predictions, names)
    return Described(
        params=params,
        names=names,
        recorded=_read_metrics(paths.metrics, ("split", "triplets", "review", *TRAINING_STAGES)),
        splits=read_jsonl(paths.splits, SplitRecord),
        questions=read_jsonl(paths.questions, Question),
        asked=asked,
        predictions=predictions,
        rationales=read_jsonl(paths.reviewed, Rationale),
        triplets=read_jsonl(paths.triplets, Triplet),
        logs={stage: read_log(paths.logs / f"{stage}.jsonl") for stage in TRAINING_STAGES},
    )


def read_inputs(params: Params) -> Inputs:
    """Read every file that the page needs. Raises ValueError for a broken row."""
    paths, described = params.paths, read_described(params)
    verdicts = read_jsonl(paths.verdicts, Verdict)
    return Inputs(
        **vars(described),
        metrics=_read_metrics(paths.metrics, ("score",)),
        verdicts={
            model: [row for row in verdicts if row.model == model] for model in described.names
        },
        benchmarks=read_scores(paths.predictions, params.general.models),
        analyses=read_analyses(paths.predictions, params.analysis.models),
        levels=_read_levels(paths.taxonomy),
        concepts=read_jsonl(paths.concepts, Concepts),
        triplet_sheet=(paths.logs / "triplets.jpg").read_bytes(),
        yields=read_yields(paths.cot_yield),
        audit=json.loads(paths.audit.read_text(encoding="utf-8")),
        archive=ImageArchive(paths.images),
    )


def _read_predictions(
    folder: Path, names: Iterable[str]
) -> tuple[dict[str, dict[str, Prediction]], dict[str, Asked]]:
    """The predictions of the run's own models, and how every model was asked."""
    predictions: dict[str, dict[str, Prediction]] = {}
    asked: dict[str, Asked] = {}
    for model in names:
        rows = read_jsonl(folder / f"{model}.jsonl", Prediction)
        asked[model] = Asked(
            tuple(sorted({row.identity for row in rows})),
            tuple(sorted({row.strategy for row in rows})),
            sum(bool(row.votes) for row in rows),
            any(row.answer_from == "text" for row in rows),
        )
        if model in MODELS:
            predictions[model] = {row.question_id: row for row in rows}
    return predictions, asked


def _read_levels(path: Path) -> tuple[str, ...]:
    """The header of the taxonomy without the dataset; `score` has checked the file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = [name.strip() for name in next(csv.reader(file), [])]
    levels = [name for name in header if name != "dataset"]
    return tuple(levels if GROUP in levels else [GROUP, *levels])


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
    with path.open(encoding="utf-8") as lines:  # splitlines() would part a text at U+2028, too
        for number, line in enumerate(lines, 1):
            try:
                item = json.loads(line)
                for name, value in item["metrics"].items():
                    series.setdefault(name, []).append((int(item["step"]), float(value)))
            except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}:{number}: no line of metrics ({error})") from error
    return {name: tuple(sorted(values)) for name, values in sorted(series.items())}
