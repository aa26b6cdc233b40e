"""The published tables of Fine-R1, as they lie in finer1/reference/published."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from finer1.evaluation.metrics import Side
from finer1.records import Setting

DATASETS = ("aircraft", "bird", "car", "dog", "flower", "pet")
"""The published datasets, in the tables' order."""
SIDES: tuple[Side, ...] = ("seen", "unseen")
TABLE_4 = "table4_analysis.csv"
TABLE_8 = "table8_general_benchmarks.csv"

_FOLDER = Path(__file__).parents[1] / "reference/published"
_OURS = " (ours)"
_PANGU = {
    "Zero-shot": "openPangu-VL-7B",
    "CoT SFT": "openPangu-VL-7B, CoT SFT",
    "CoT SFT + TAPO": "openPangu-VL-7B, CoT SFT + TAPO",
}
"""Table 7 is about one model and names the stages alone."""


@dataclass(frozen=True)
class PublishedRow:
    """One model of a published table."""

    family: str
    """clip, general or reasoning."""
    name: str
    """`Fine-R1-3B`: the paper's, without `(ours)`."""
    values: Mapping[tuple[Side, str], float]
    """(side, dataset) -> per cent."""


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper over the six datasets, and the measure of ours that answers to it."""

    number: str
    title: str
    setting: Setting
    protocol_measure: Literal["paper_accuracy", "similarity_paper"]
    """What the released evaluator measures, under its rules."""
    headline_measure: Literal["accuracy", "similarity"]
    """What this project measures instead."""
    rows: tuple[PublishedRow, ...]


@cache
def published_tables() -> tuple[PublishedTable, ...]:
    """Tables 1, 2, 6 and 7."""
    return (
        PublishedTable(
            "1",
            "Closed-world accuracy",
            "closed",
            "paper_accuracy",
            "accuracy",
            _read("table1_closed_world_accuracy.csv"),
        ),
        PublishedTable(
            "2",
            "Open-world semantic similarity",
            "open",
            "similarity_paper",
            "similarity",
            _read("table2_open_world_semantic_similarity.csv"),
        ),
        PublishedTable(
            "6",
            "Open-world text inclusion",
            "open",
            "paper_accuracy",
            "accuracy",
            _read("table6_open_world_text_inclusion.csv"),
        ),
        PublishedTable(
            "7",
            "Closed-world accuracy of openPangu-VL-7B",
            "closed",
            "paper_accuracy",
            "accuracy",
            _read("table7_openpangu_closed_world_accuracy.csv"),
        ),
    )


def published_names() -> tuple[str, ...]:
    """Every model of these tables, once, in their order."""
    return tuple(dict.fromkeys(row.name for table in published_tables() for row in table.rows))


@cache
def general_benchmarks() -> Mapping[str, Mapping[str, float]]:
    """Table 8: model -> benchmark -> score as published (MME is no percentage)."""
    with (_FOLDER / TABLE_8).open(encoding="utf-8", newline="") as lines:
        return {
            row.pop("model"): {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(lines)
        }


@dataclass(frozen=True)
class PublishedAnalysis:
    """A row of Table 4."""

    name: str
    probe: float
    """Accuracy of the linear probe, best on the test images, per cent."""
    delta: float
    """Similarity to a congener less that to species of other genera."""
    t: float | None
    p: float | None


@cache
def published_analyses() -> tuple[PublishedAnalysis, ...]:
    """Table 4."""
    with (_FOLDER / TABLE_4).open(encoding="utf-8", newline="") as lines:
        return tuple(
            PublishedAnalysis(
                row["model"],
                float(row["linear_probe"]),
                float(row["similarity_delta"]),
                *(float(row[name]) if row[name] else None for name in ("t", "p")),
            )
            for row in csv.DictReader(lines)
        )


def _read(name: str) -> tuple[PublishedRow, ...]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as lines:
        return tuple(
            PublishedRow(
                row["family"],
                _name(row["model"]),
                {(side, dataset): float(row[f"{side}_{dataset}"])
                 for side in SIDES for dataset in DATASETS},
            )
            for row in csv.DictReader(lines)
        )  # fmt: skip


def _name(text: str) -> str:
    bare = text.removesuffix(_OURS)
    return _PANGU.get(bare, bare)
