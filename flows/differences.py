"""What an experiment changes, alone or on top of a full-scale setting.

An entry of `experiments` in params.yaml maps dotted keys to values. Words that are no keys:

    like: NAME          the differences of that entry come first
    embedded: {...}     further ones on the drawn world alone: what was tuned for it
    full_scale: {...}   further ones on a setting (--on) that has other datasets

A value that begins with `=` is relative: names and + - * // on the values that hold before the
experiment, as in `= tapo.steps + 6` or `= paths.base`. `{seed}` within a value or a name of a
mapping is the seed of the run, as in `twins_{seed}`: a world of its own for each seed.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from rapidfuzz import process as fuzzy

from finer1.params import ExperimentGroup, with_differences

Experiments = Mapping[str, ExperimentGroup | dict[str, object]]

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
_OF_THE_SETTING = re.compile(
    r"(paths|download|runtime|report|general|robustness)\..+"
    r"|.+\.(engine|encoder|lr|epochs|max_epochs|steps|batch_size|prompts_per_step|minibatches"
    r"|warmup_steps|weight_decay|adam_beta\d|max_grad_norm|max_tokens|max_completion_tokens"
    r"|images_per_class|classes)"
)
"""Data, models and budget: what a full-scale setting decides and no experiment on top of it."""


def experiment_differences(
    experiments: Experiments, name: str, is_full_scale: bool = False
) -> dict[str, object]:
    """Dotted key -> value, relative ones as written, with those of the experiment it is `like`.

    is_full_scale: with `full_scale` in place of `embedded`. Raises ValueError for an unknown name,
    a group, or experiments that are like each other.
    """
    merged: dict[str, object] = {}
    for chosen in reversed(likenesses(experiments, name)):
        plain, embedded, full_scale = _blocks(experiments, chosen)
        merged |= {**plain, **(full_scale if is_full_scale else embedded)}
    return merged


def likenesses(experiments: Experiments, name: str) -> list[str]:
    """`name`, the entry that it is like, the one that this is like, and so on.

    Raises ValueError as experiment_differences.
    """
    passed = [name]
    while True:
        entry = find_entry(experiments, passed[-1])
        if isinstance(entry, ExperimentGroup):
            raise ValueError(f"{passed[-1]} is a group; name a single experiment")
        like = entry.get("like")
        if like is None:
            return passed
        if like in passed:
            raise ValueError(f"experiments: {name} is like itself ({', '.join(passed)})")
        passed.append(str(like))


def differences_on(
    values: MutableMapping[str, Any], experiments: Experiments, name: str, setting: str | None
) -> dict[str, object]:
    """What the experiment changes in `values`, the content of params.yaml, absolute.

    setting: another entry whose differences come first. Raises ValueError as
    experiment_differences, for a relative value that cannot be had, and where the experiment
    changes data, models or budget of the setting.
    """
    if setting is None:
        return absolute(values, experiment_differences(experiments, name))
    first = absolute(values, experiment_differences(experiments, setting))
    changed = with_differences(values, first)
    _check_budget(changed, experiments, name, setting)
    is_full_scale = list(changed["download"]["datasets"]) != ["world"]
    own = absolute(changed, experiment_differences(experiments, name, is_full_scale))
    return {**first, **own}


def absolute(values: Mapping[str, Any], differences: Mapping[str, object]) -> dict[str, object]:
    """`differences` with relative values worked out on `values`. Raises ValueError where not."""
    return {key: _absolute(values, value, key) for key, value in differences.items()}


def find_entry(experiments: Experiments, name: str) -> ExperimentGroup | dict[str, object]:
    """The entry of that name. Raises ValueError, naming the nearest, when there is none."""
    if name in experiments:
        return experiments[name]
    nearest = fuzzy.extractOne(name, list(experiments))
    hint = f"the nearest one is {nearest[0]}" if nearest else "params.yaml has none"
    raise ValueError(f"there is no experiment {name}; {hint}")


def _blocks(
    experiments: Experiments, name: str
) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    """An entry's own plain differences, those of `embedded` and those of `full_scale`."""
    entry = find_entry(experiments, name)
    assert isinstance(entry, dict)
    blocks = []
    for word in ("embedded", "full_scale"):
        block = entry.get(word, {})
        if not isinstance(block, dict):
            raise ValueError(f"experiments.{name}.{word}: write dotted keys with values")
        blocks.append(block)
    plain = {k: v for k, v in entry.items() if k not in ("like", "embedded", "full_scale")}
    return plain, blocks[0], blocks[1]


def _check_budget(
    values: MutableMapping[str, Any], experiments: Experiments, name: str, setting: str
) -> None:
    """Raise ValueError where a plain difference, made for the default, would change the setting's.

    0 and null switch something off, which is no tuning; relative values and those of `full_scale`
    are meant for it.
    """
    for chosen in likenesses(experiments, name):
        for key, value in _blocks(experiments, chosen)[0].items():
            if not _OF_THE_SETTING.fullmatch(key) or _is_relative(value) or value in (0, None):
                continue
            with_differences(values, {key: value})  # refuses an unknown key in its own words
            held = _entry(values, key)
            if held != value:
                raise ValueError(
                    f"{name} cannot run on {setting}: {chosen} sets {key} to {value}, which is for "
                    f"the embedded default, where {setting} has {held}; in params.yaml move it "
                    f"under `embedded` of {chosen}, or write a value for `full_scale` there"
                )


def _is_relative(value: object) -> bool:
    return isinstance(value, str) and value.startswith("=")


def _absolute(values: Mapping[str, Any], value: object, key: str) -> object:
    if isinstance(value, dict):
        return {_seeded(values, name): _absolute(values, item, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_absolute(values, item, key) for item in value]
    if not isinstance(value, str):
        return value
    if not _is_relative(value):
        return _seeded(values, value)
    try:
        return _evaluate(ast.parse(value[1:].strip(), mode="eval").body, values)
    except (SyntaxError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(
            f"{key}: {value} is no relative value; write names of params.yaml and numbers with "
            "+ - * //, as in `= tapo.steps + 6`"
        ) from error


def _seeded(values: Mapping[str, Any], text: str) -> str:
    return text.replace("{seed}", str(values["seed"])) if "{seed}" in text else text


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp):
        apply = _OPERATORS[type(node.op)]
        return apply(_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.Name | ast.Attribute):
        return _look_up(values, ast.unparse(node))
    raise TypeError(ast.unparse(node))


def _entry(values: Mapping[str, Any], key: str) -> Any:
    """The value of a known key; None for an entry that its mapping does not have yet."""
    try:
        return _look_up(values, key)
    except KeyError:
        return None


def _look_up(values: Mapping[str, Any], key: str) -> Any:
    found: Any = values
    for part in key.split("."):
        found = found[part]
    return found
