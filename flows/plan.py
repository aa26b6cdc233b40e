"""Which runs a choice of experiments needs, checked before the first one starts."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from finer1.evaluation.metrics import CELLS
from finer1.evaluation.verdicts import MODELS
from finer1.experiment_params import ExperimentGroup, Need
from finer1.params import Params, check_params, with_differences
from finer1.tapo.settings import check_settings
from flows.differences import Experiments, differences_on, find_entry, likenesses

SECTIONS_OF_MODELS = ("predict", "robustness", "general", "analysis")
"""Of params.yaml, each with further models to ask."""


@dataclass(frozen=True)
class Trial:
    """One experiment at one seed: one DVC experiment."""

    experiment: str
    seed: int
    differences: Mapping[str, object]
    """Dotted key -> value, the seed among them."""
    setting: str | None = None
    """What comes first: a full-scale setting."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Those of the differences that stand for the data and the base on this machine."""

    @property
    def name(self) -> str:
        """Name of the DVC experiment."""
        on = f"{self.setting}-" if self.setting else ""
        return f"{on}{self.experiment}-seed{self.seed}"


@dataclass(frozen=True)
class PlannedGroup:
    """One table to fill."""

    name: str
    group: ExperimentGroup
    """With the rows that can be run, and the seeds that were asked for."""
    left_out: Mapping[str, str]
    """Title of a row that cannot be run -> what is missing, and what helps."""

    @property
    def rows(self) -> dict[str, tuple[str, str]]:
        """Title -> (experiment, model)."""
        return {title: _split(row) for title, row in self.group.rows.items()}

    @property
    def is_single(self) -> bool:
        """Whether it is one experiment, with the models of its run as rows."""
        return {experiment for experiment, _ in self.rows.values()} == {self.name}


@dataclass(frozen=True)
class Plan:
    """Runs, and the tables that they fill."""

    trials: tuple[Trial, ...]
    groups: tuple[PlannedGroup, ...]
    setting: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a plan asks about the machine and the folder."""

    data: Callable[[Params], Mapping[str, object]]
    """The differences that the data and the base of a run with these parameters need."""
    is_tracked: Callable[[Path], bool]
    """Whether git has something at a path: runs work in a copy of that."""
    lacks: Callable[[Need, Params], str | None]
    """What is missing of what a row needs, with the remedy; None when it is there."""


def plan_experiments(
    values: MutableMapping[str, Any],
    names: Sequence[str],
    seeds: Sequence[int] | None,
    data: Callable[[Params], Mapping[str, object]],
    is_tracked: Callable[[Path], bool],
    setting: str | None = None,
    lacks: Callable[[Need, Params], str | None] = lambda need, params: None,
) -> Plan:
    """The runs behind `names`, entries of `experiments` that may be groups.

    values: content of params.yaml. seeds: instead of the groups' own and of the seed in
    params.yaml. data, is_tracked, lacks: as in Surroundings. setting: an entry whose differences
    come before those of each experiment. Raises ValueError for an unknown name, a difference that
    is not allowed, a model that a run would not find, or a setting that does not go together.
    """
    around = Surroundings(data, is_tracked, lacks)
    params = check_params(values, "params.yaml")
    groups: list[PlannedGroup] = []
    trials: dict[tuple[str, int], Trial] = {}
    for name in names:
        group = _group(params, name, seeds, setting)
        members = dict.fromkeys(_split(row)[0] for row in group.rows.values())
        checked = {
            seed: {
                experiment: _checked(
                    {**values, "seed": seed}, params.experiments, experiment, setting, around
                )
                for experiment in members
            }
            for seed in group.seeds
        }
        planned = _without_missing(name, group, checked[group.seeds[0]], around)
        groups.append(planned)
        for seed in planned.group.seeds:
            for experiment in dict.fromkeys(experiment for experiment, _ in planned.rows.values()):
                differences, own = checked[seed][experiment]
                extra = around.data(own)
                trials[experiment, seed] = Trial(
                    experiment, seed, {**differences, **extra, "seed": seed}, setting, extra
                )
    return Plan(tuple(trials.values()), tuple(groups), setting)


def check_models(params: Params, source: str, is_there: Callable[[Path], bool]) -> None:
    """Raise ValueError when a model to be asked is not in the copy of the project of a run.

    source: names the parameters in the message. is_there: whether a path of the project is in the
    copy before any stage has run. Absolute paths mean the same everywhere.
    """
    made = {params.paths.base, params.paths.sft, params.paths.tapo}
    made |= {params.paths.bases / name for name in params.pretrain.models}
    for section in SECTIONS_OF_MODELS:
        for name, entry in getattr(params, section).models.items():
            path = Path(entry.model)
            if not (path.is_absolute() or path in made or is_there(path)):
                raise ValueError(
                    f"{source}: {section}.models.{name} names {path}, which the copy of the "
                    "project that the run works in does not have; write its absolute path"
                )


def _group(
    params: Params, name: str, seeds: Sequence[int] | None, setting: str | None
) -> ExperimentGroup:
    """The entry as a group: a single experiment compares the models of its run.

    It may run on any setting, since it fills no table of the paper; what it may change there is
    differences_on's to refuse.
    """
    entry = find_entry(params.experiments, name)
    if not isinstance(entry, ExperimentGroup):
        titles = {model: f"{name}: {model}" for model in MODELS}
        return ExperimentGroup(
            paper=None,
            about="the models of one run",
            columns=tuple(f"{setting}/{side}/accuracy" for setting, side in CELLS),
            seeds=tuple(seeds or (params.seed,)),
            settings=(),
            rows={title: f"{name}/{model}" for model, title in titles.items()},
            needs={},
            published={},
            pairs=tuple((titles[new], titles[old]) for old, new in pairwise(MODELS)),
        )
    _check_setting(params.experiments, name, entry, setting)
    return entry.model_copy(update={"seeds": tuple(seeds or entry.seeds)})


def goes_with(experiments: Experiments, group: ExperimentGroup, setting: str | None) -> bool:
    """Whether the group is for the setting; all are for the embedded default (None).

    Raises ValueError for an unknown setting, naming the nearest.
    """
    return setting is None or bool(set(likenesses(experiments, setting)) & set(group.settings))


def _check_setting(
    experiments: Experiments, name: str, group: ExperimentGroup, setting: str | None
) -> None:
    if goes_with(experiments, group, setting):
        return
    if not group.settings:
        raise ValueError(f"{name} is about the embedded default alone; run it without --on")
    raise ValueError(
        f"{name} does not go with {setting}; it runs on {', '.join(group.settings)} and on "
        "settings that are `like` one of them"
    )


def _checked(
    values: MutableMapping[str, Any],
    experiments: Experiments,
    experiment: str,
    setting: str | None,
    around: Surroundings,
) -> tuple[dict[str, object], Params]:
    """The differences of an experiment, and the parameters that they lead to."""
    differences = differences_on(values, experiments, experiment, setting)
    source = f"experiment {experiment}" + (f" on {setting}" if setting else "")
    own = check_params(with_differences(values, differences), source)
    check_models(own, source, around.is_tracked)
    try:
        check_settings(own.tapo)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return differences, own


def _without_missing(
    name: str,
    group: ExperimentGroup,
    checked: Mapping[str, tuple[dict[str, object], Params]],
    around: Surroundings,
) -> PlannedGroup:
    """The group less the rows whose needs are not met. Raises ValueError when none is left."""
    left_out: dict[str, str] = {}
    for title, row in group.rows.items():
        experiment, model = _split(row)
        own = checked[experiment][1]
        known = (*MODELS, *own.predict.models)
        if model not in known:
            raise ValueError(
                f"experiments.{name}: the row {title} is about the model {model}, which "
                f"{experiment} does not evaluate; it has {', '.join(known)}"
            )
        missing = around.lacks(group.needs[title], own) if title in group.needs else None
        if missing:
            left_out[title] = missing
    if len(left_out) == len(group.rows):
        raise ValueError(f"{name}: no row can be run; {next(iter(left_out.values()))}")
    rows = {title: row for title, row in group.rows.items() if title not in left_out}
    pairs = tuple(pair for pair in group.pairs if not left_out.keys() & set(pair))
    return PlannedGroup(name, group.model_copy(update={"rows": rows, "pairs": pairs}), left_out)


def _split(row: str) -> tuple[str, str]:
    experiment, _, model = row.partition("/")
    return experiment, model
