"""Table 4 of a run, read back from its paths.results, as rows below a table of experiments."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from finer1.report.analysis_rows import TABLE

_DIFFERENCE = "_difference"
_LABELS = {
    "probe_best_on_test": "linear probe, best on test (the paper's)",
    "probe_last": "linear probe, last epoch",
    "probe_best_on_validation": "linear probe, best on validation",
    "similarity_delta": "congener less others, cosine",
    "similarity_t": "paired t",
    "similarity_p": "p of t",
    "similarity_permutation_p": "p by permutation",
    "separability": "true from false names, all dimensions",
    "separability_plane": "true from false names, two components",
    "separability_chance": "chance",
    "separability_p": "p by permutation of names",
}
"""Metric of analysis_rows -> its row; differences are of the same row."""


@dataclass(frozen=True)
class Measured:
    """One figure: accuracies in per cent, cosines, t and p as they are."""

    seed: int
    model: str
    """Or a difference, `TAPO - base`."""
    metric: str
    value: float
    low: float | None
    high: float | None
    is_published: bool


def read_measured(text: str, seed: int) -> list[Measured]:
    """The figures of Table 4 in a run's paths.results; empty where it measured none."""
    found = []
    for row in csv.DictReader(io.StringIO(text)):
        value = row["value"] or row["published"]
        if row["table"] != TABLE or not value:
            continue
        metric = row["metric"].removesuffix(_DIFFERENCE)
        metric = "similarity_delta" if metric == "similarity" else metric
        low, high = (float(row[name]) if row[name] else None for name in ("low", "high"))
        found.append(
            Measured(seed, row["model"], metric, float(value), low, high, not row["value"])
        )
    return found


def measured_blocks(measured: Sequence[Measured]) -> list[list[list[str]]]:
    """Per seed a head and the rows, in it the models' own, the differences, the published."""
    return [
        block
        for seed in dict.fromkeys(item.seed for item in measured)
        for block in _blocks([item for item in measured if item.seed == seed], seed)
    ]


def _blocks(measured: Sequence[Measured], seed: int) -> list[list[list[str]]]:
    cells = {(item.model, item.is_published, item.metric): item for item in measured}
    own = dict.fromkeys(item.model for item in measured if not item.is_published)
    published = dict.fromkeys(item.model for item in measured if item.is_published)
    pairs = [(name, False) for name in own if " - " in name]
    models = [(name, False) for name in own if " - " not in name]
    models += [(name, True) for name in published]
    heads = [
        [f"Table 4, seed {seed}", *(f"paper: {n}" if is_paper else n for n, is_paper in models)],
        ["paired difference", *(name for name, _ in pairs)],
    ]
    blocks = []
    for head, names in zip(heads, (models, pairs), strict=True):
        rows = [
            [label, *(_cell(cells.get((*name, metric)), name in pairs) for name in names)]
            for metric, label in _LABELS.items()
            if any((*name, metric) in cells for name in names)
        ]
        if rows:
            blocks.append([head, *rows])
    return blocks


def _cell(item: Measured | None, is_difference: bool) -> str:
    if item is None:
        return "-"
    if item.metric.endswith(("_t", "_p")):
        return f"{item.value:.3g}"
    digits = 4 if item.metric == "similarity_delta" else 1
    sign = "+" if is_difference else ""
    value = f"{item.value:{sign}.{digits}f}"
    if item.low is None:
        return value
    return f"{value} [{item.low:{sign}.{digits}f}, {item.high:{sign}.{digits}f}]"
