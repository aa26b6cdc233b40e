"""Class names of hub copies, brought to the released names.

The integer of a copy's label says nothing: copies number the classes in their own order, as
nelorth/oxford-flowers, which has the class ids sorted as strings ('1', '10', '100', ...). Only
the name behind the integer counts.
"""

import re
from collections.abc import Iterable, Sequence

from finer1.datasets import aircraft, bird, car, pet
from finer1.datasets.listed_files import last_word_groups
from finer1.reference.class_ids import class_names
from finer1.reference.classes import released_classes

_SHOWN = 5
"""Names that a message lists."""

# What the community list of flower names says for four classes that the release names otherwise;
# the fourth, globe-flower, differs by its hyphen only.
_OTHER_NAMES = {
    "flower": {
        "pink yellow dahlia": "pink and yellow dahlia",
        "ball moss": "air plant",
        "lotus lotus": "lotus",
    }
}


def released_names(dataset: str, names: Iterable[str], copy: str, subset: bool) -> dict[str, str]:
    """Each of a copy's class names -> the released name.

    Names are compared as they are, then without case, punctuation and the class numbers of the
    official folders. Names that are all digits are class ids, for flowers.
    Raises ValueError when a name is not found, two stand for one class, or, unless `subset`,
    a released class has none.
    """
    names = sorted(set(names))
    if _are_numbers(names):
        found = _from_ids(dataset, names, copy)
    else:
        released = released_classes(dataset)
        plain = _OTHER_NAMES.get(dataset, {}) | {_plain(name): name for name in released}
        found = {
            name: name if name in released else plain.get(_key(dataset, name), "") for name in names
        }
    _check_names(dataset, found, copy)
    missing = released_classes(dataset).keys() - set(found.values())
    if missing and not subset:
        raise ValueError(
            f"hub copy {copy}: it has no image of {_some(missing)}, of dataset {dataset}; take a "
            f"whole copy, or set download.{dataset}.subset to true if fewer are meant"
        )
    return found


def refuse_unclear_ids(dataset: str, declared: Iterable[str], copy: str) -> None:
    """Raise ValueError where the names that a copy declares are all numbers, but not class ids.

    Rows of a part of the classes do not show it: '1' to '101' are ids, and with '0' they are not.
    """
    names = sorted(set(declared))
    if _are_numbers(names):
        _from_ids(dataset, names, copy)


def class_groups(dataset: str) -> dict[str, str | None]:
    """Released name -> its group, as the reader of the official layout gives it.

    None for aircraft: their manufacturers are in the official files only.
    """
    labels = released_classes(dataset)
    if dataset in ("dog", "flower"):
        return last_word_groups(labels, dataset)
    group_of = {"bird": bird.class_group, "car": car.maker, "pet": pet.class_group}.get(dataset)
    return {label: group_of(label) if group_of else None for label in labels}


def _are_numbers(names: Sequence[str]) -> bool:
    return bool(names) and all(name.isascii() and name.isdigit() for name in names)


def _from_ids(dataset: str, names: list[str], copy: str) -> dict[str, str]:
    if dataset != "flower":
        raise ValueError(
            f"hub copy {copy}: its labels are integers without names ({_some(names)}), and their "
            f"order is not known; take a copy that has the names, or set download.{dataset}.source "
            "to official"
        )
    known = {str(number): name for number, name in enumerate(class_names("flower"), 1)}
    strange = set(names) - known.keys()
    if strange:
        raise ValueError(
            f"hub copy {copy}: {_some(strange)} is no class id of 1 to {len(known)}; its labels "
            "are integers without names; take a copy that has names or ids, or set "
            "download.flower.source to official"
        )
    return {name: known[name] for name in names}


def _key(dataset: str, name: str) -> str:
    if dataset == "aircraft":
        return _plain(aircraft.class_label(name.strip()))
    # "001.Black_footed_Albatross", "n02085620-Chihuahua"
    return _plain(re.sub(r"^([0-9]+\.|n[0-9]{8}-)", "", name))


def _plain(name: str) -> str:
    """Lower-case words of letters and digits."""
    return " ".join(re.findall(r"[^\W_]+", re.sub("['\u2019]", "", name.casefold())))


def _check_names(dataset: str, found: dict[str, str], copy: str) -> None:
    unknown = [name for name, released in found.items() if not released]
    if unknown:
        raise ValueError(
            f"hub copy {copy}: {_some(unknown)} is no class of dataset {dataset}; is it a copy of "
            f"another dataset? Else set download.{dataset}.source to official"
        )
    first: dict[str, str] = {}
    for name, released in found.items():
        if released in first:
            raise ValueError(
                f"hub copy {copy}: its classes {first[released]!r} and {name!r} are both "
                f"{released} of dataset {dataset}; take another copy"
            )
        first[released] = name


def _some(names: Iterable[str]) -> str:
    every = sorted(names)
    text = ", ".join(map(repr, every[:_SHOWN]))
    return text if len(every) <= _SHOWN else f"{text} and {len(every) - _SHOWN} more"
