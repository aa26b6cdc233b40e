"""Which runs a choice of experiments needs, checked before the first one starts."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rapidfuzz import process as fuzzy

from finer1.evaluation.verdicts import MODELS
from finer1.params import ExperimentGroup, Params, check_params, with_differences


@dataclass(frozen=True)
class Trial:
    """One experiment at one seed: one DVC experiment."""

    experiment: str
    seed: int
    differences: Mapping[str, object]
    """Dotted key -> value, the seed among them."""

    @property
    def name(self) -> str:
        """Name of the DVC experiment."""
        return f"{self.experiment}-seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """Runs, and the table that they fill."""

    trials: tuple[Trial, ...]
    rows: Mapping[str, tuple[str, str]]
    """Title -> (experiment, model)."""
    pairs: tuple[tuple[str, str], ...]
    """Titles whose paired difference is printed."""


def plan_experiments(
    values: MutableMapping[str, Any],
    names: Sequence[str],
    seeds: Sequence[int] | None,
    data: Callable[[Params], Mapping[str, object]],
    is_tracked: Callable[[Path], bool],
) -> Plan:
    """The runs behind `names`, entries of `experiments` that may be groups.

    values: content of params.yaml. seeds: instead of the groups' own and of the seed in
    params.yaml. data: the differences that the datasets of a run with these parameters need.
    is_tracked: whether git has something at a path of the project, since runs work in a copy of
    that. Raises ValueError for an unknown name, a difference that is not allowed, or a model that
    a run would not find.
    """
    params = check_params(values, "params.yaml")
    rows: dict[str, tuple[str, str]] = {}
    pairs: list[tuple[str, str]] = []
    asked: dict[tuple[str, int], None] = {}
    for name in names:
        entry = _entry(params.experiments, name)
        if isinstance(entry, ExperimentGroup):
            members = {title: _split(row) for title, row in entry.rows.items()}
            pairs += entry.pairs
            own_seeds: Sequence[int] = entry.seeds
        else:
            members = {f"{name}: {model}": (name, model) for model in MODELS}
            pairs += [(f"{name}: {new}", f"{name}: {old}") for old, new in pairwise(MODELS)]
            own_seeds = (params.seed,)
        rows.update(members)
        for seed in seeds or own_seeds:
            asked.update({(experiment, seed): None for experiment, _ in members.values()})
    for title in (title for pair in pairs for title in pair):
        if title not in rows:
            raise ValueError(f"params.yaml: a pair names {title}, which is no row of its group")
    trials = []
    for experiment, seed in asked:
        differences = {**experiment_differences(params.experiments, experiment), "seed": seed}
        own = check_params(with_differences(values, differences), f"experiment {experiment}")
        check_models(own, f"experiment {experiment}", is_tracked)
        trials.append(Trial(experiment, seed, {**data(own), **differences}))
    return Plan(tuple(trials), rows, tuple(pairs))


def check_models(params: Params, source: str, is_there: Callable[[Path], bool]) -> None:
    """Raise ValueError when a model to be asked is not in the copy of the project of a run.

    source: names the parameters in the message. is_there: whether a path of the project is in the
    copy before any stage has run. Absolute paths mean the same everywhere.
    """
    made = {params.paths.sft, params.paths.tapo}
    made |= {params.paths.bases / name for name in params.pretrain.models}
    for section in ("predict", "robustness", "general"):
        for name, entry in getattr(params, section).models.items():
            path = Path(entry.model)
            if not (path.is_absolute() or path in made or is_there(path)):
                raise ValueError(
                    f"{source}: {section}.models.{name} names {path}, which the copy of the "
                    "project that the run works in does not have; write its absolute path"
                )


def experiment_differences(
    experiments: Mapping[str, ExperimentGroup | dict[str, object]], name: str
) -> dict[str, object]:
    """Dotted key -> value, with those of the experiment that it is `like`.

    Raises ValueError for an unknown name, a group, or experiments that are like each other.
    """
    merged: dict[str, object] = {}
    passed = [name]
    while True:
        entry = _entry(experiments, passed[-1])
        if isinstance(entry, ExperimentGroup):
            raise ValueError(f"{passed[-1]} is a group; name a single experiment")
        merged = {**entry, **merged}
        like = merged.pop("like", None)
        if like is None:
            return merged
        if like in passed:
            raise ValueError(f"experiments: {name} is like itself ({', '.join(passed)})")
        passed.append(str(like))


def _entry(
    experiments: Mapping[str, ExperimentGroup | dict[str, object]], name: str
) -> ExperimentGroup | dict[str, object]:
    if name in experiments:
        return experiments[name]
    nearest = fuzzy.extractOne(name, list(experiments))
    hint = f"the nearest one is {nearest[0]}" if nearest else "params.yaml has none"
    raise ValueError(f"there is no experiment {name}; {hint}")


def _split(row: str) -> tuple[str, str]:
    experiment, _, model = row.partition("/")
    return experiment, model
