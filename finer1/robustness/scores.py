"""Accuracy on corrupted images, per corruption and severity, against that on the clean ones.

A prediction's question_id is `<question id>#<corruption>/<severity>`, `#none/0` for the image as it
is. Metric keys are `<name>/robustness/<corruption>/<severity>/{n,accuracy,low,high}`, with `none/0`
for the clean images and `mean/<severity>` for the mean over the corruptions, which has no n; and
`<name>/robustness/relative`, the mean over all corruptions and severities as a share of the clean
accuracy.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from finer1.evaluation.metrics import classes, correct
from finer1.evaluation.statistics import Bootstrap, mean_intervals
from finer1.evaluation.verdicts import judge_model
from finer1.records import Prediction, Question
from finer1.robustness.cells import CLEAN, Cell, split_id

MEAN = "mean"
"""In place of a corruption: the mean over them."""


def robustness_metrics(
    name: str,
    questions: Sequence[Question],
    predictions: Sequence[Prediction],
    bootstrap: Bootstrap,
) -> dict[str, float]:
    """The metrics of one model's `robustness@<name>.jsonl`, by the strict rule; see the module.

    questions: at least those asked about. Without a right answer on clean images there is no
    `relative`. Raises ValueError unless every cell asks the same questions, the clean one among
    them: accuracies over different questions could not be compared.
    """
    by_cell: dict[Cell, list[Prediction]] = defaultdict(list)
    for row in predictions:
        question_id, cell = split_id(row.question_id)
        by_cell[cell].append(replace(row, question_id=question_id))
    source = f"robustness@{name}"
    if CLEAN not in by_cell:
        raise ValueError(f"{source}: no prediction is about a clean image; run {source} again")
    asked_ids = {row.question_id for row in by_cell[CLEAN]}
    asked = [question for question in questions if question.id in asked_ids]
    values: dict[Cell, list[float]] = {}
    groups: list[str] = []
    for cell, rows in sorted(by_cell.items(), key=lambda item: (item[0] != CLEAN, item[0])):
        verdicts = judge_model(asked, rows, f"{source}, {cell[0]} at severity {cell[1]}")
        values[cell], groups = correct(verdicts), classes(verdicts)
    columns = {f"{cell[0]}/{cell[1]}": column for cell, column in (values | _means(values)).items()}
    metrics: dict[str, float] = {}
    for cell_key, interval in mean_intervals(columns, groups, bootstrap).items():
        key = f"{name}/robustness/{cell_key}"
        metrics[f"{key}/accuracy"] = interval.value
        metrics[f"{key}/low"] = interval.low
        metrics[f"{key}/high"] = interval.high
    for corruption, severity in values:
        metrics[f"{name}/robustness/{corruption}/{severity}/n"] = len(asked)
    clean = np.mean(values.pop(CLEAN))
    if values and clean > 0:
        metrics[f"{name}/robustness/relative"] = float(np.mean([*values.values()]) / clean)
    return metrics


def _means(values: Mapping[Cell, Sequence[float]]) -> dict[Cell, list[float]]:
    """Severity by severity, the mean of each question over the corruptions."""
    severities = sorted({severity for _, severity in values} - {CLEAN[1]})
    return {
        (MEAN, severity): np.mean(
            [column for cell, column in values.items() if cell[1] == severity], axis=0
        ).tolist()
        for severity in severities
    }
