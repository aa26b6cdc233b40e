"""The list of experiments: the table or figure, what it needs, how long it takes."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finer1.experiment_params import ExperimentGroup, Need
from finer1.params import Params, check_params, with_differences
from flows.durations import about
from flows.forecast import Forecast
from flows.plan import Plan, plan_experiments

NEEDS: Mapping[Need, str] = {
    "clip": "a CLIP checkpoint",
    "decisions": "human decisions or the drawn world's reviewer",
}
"""What a row may need, in words."""


def list_experiments(values: dict[str, Any], graph: Mapping[str, Any]) -> str:
    """Every group with its paper's name, runs, time and needs, then the single experiments.

    values: content of params.yaml. graph: `stages` of dvc.yaml.
    """
    params = check_params(values, "params.yaml")
    forecast = Forecast(graph, values)
    head = ["name", "paper", "what", "runs", "on two cores", "needs"]
    groups = [
        [name, entry.paper or "-", entry.about, *_described(name, entry, values, forecast)]
        for name, entry in params.experiments.items()
        if isinstance(entry, ExperimentGroup)
    ]
    singles = [
        [name, ", ".join(f"{key}={json.dumps(value)}" for key, value in entry.items()) or "-"]
        for name, entry in params.experiments.items()
        if not isinstance(entry, ExperimentGroup)
    ]
    width = max(len(name) for name, _ in singles) if singles else 0
    return "\n".join(
        [
            *_align([head, *groups]),
            "",
            "single experiments, and what they change:",
            *(f"  {name.ljust(width)}  {_cut(text)}" for name, text in singles),
            "",
            "run:      finer1 experiments NAME...                   each seed of each row, "
            "side by side",
            "at scale: finer1 experiments NAME --on SETTING         a full-scale setting first: "
            f"{', '.join(_settings(params)) or 'none here'}",
            "see:      finer1 compare [NAME...]                     the tables of what has run",
        ]
    )


def plan_seconds(
    plan: Plan, values: dict[str, Any], forecast: Forecast, done: Callable[[str], bool]
) -> float:
    """Expected seconds of a plan's runs, one after the other, less what is done."""
    finished: list[dict[str, Any]] = []
    open_: list[dict[str, Any]] = []
    for trial in plan.trials:
        own = dict(with_differences(values, trial.differences))
        (finished if done(trial.name) else open_).append(own)
    return forecast.seconds(open_, finished)


def _described(
    name: str, group: ExperimentGroup, values: dict[str, Any], forecast: Forecast
) -> tuple[str, str, str]:
    """Number of runs, their time, what rows need besides."""
    plan = plan_experiments(values, [name], None, lambda params: {}, lambda path: True)
    seconds = plan_seconds(plan, values, forecast, lambda name: False)
    rows: dict[Need, int] = {}
    for title, need in group.needs.items():
        if need != "decisions" or not _has_stand_in(group.rows[title], plan, values):
            rows[need] = rows.get(need, 0) + 1
    needs = [
        f"{NEEDS[need]} for {count} {'row' if count == 1 else 'rows'}"
        for need, count in rows.items()
    ]
    return str(len(plan.trials)), about(seconds), ", ".join(needs) or "nothing"


def _has_stand_in(row: str, plan: Plan, values: dict[str, Any]) -> bool:
    """Whether the drawn world's own reviewer takes the place of human decisions."""
    experiment = row.partition("/")[0]
    trial = next(trial for trial in plan.trials if trial.experiment == experiment)
    return bool(with_differences(values, trial.differences)["review"]["stand_in"] != "none")


def _settings(params: Params) -> list[str]:
    groups = (e for e in params.experiments.values() if isinstance(e, ExperimentGroup))
    return list(dict.fromkeys(setting for group in groups for setting in group.settings))


def _cut(text: str, width: int = 90) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
