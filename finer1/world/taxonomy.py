"""The embedded world's classes: what there is, how the classes differ, who is near whom.

A class is one combination of five attribute values. Classes of one genus share the first
attribute; any two classes of a category differ in at least two attributes, so that a single
misread attribute never yields another class and is often still recoverable.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

ATTRIBUTES: dict[str, dict[str, tuple[str, ...]]] = {
    "bird": {
        "crown": ("red", "blue", "yellow", "black"),
        "beak": ("hooked", "long", "short"),
        "wing": ("unbarred", "single", "double"),
        "tail": ("forked", "pointed", "round"),
        "breast": ("plain", "striped", "spotted"),
    },
    "car": {
        "body": ("sedan", "van", "pickup", "coupe"),
        "roof": ("racked", "bare", "aerial"),
        "windows": ("tinted", "split", "open"),
        "side": ("smooth", "lined", "checked"),
        "wheels": ("spoked", "solid", "ringed"),
    },
    "fish": {
        "fins": ("orange", "violet", "green", "white"),
        "tail": ("crescent", "fanned", "square"),
        "back": ("spiny", "tall", "low"),
        "flank": ("banded", "dotted", "clear"),
        "mouth": ("blunt", "sharp", "bearded"),
    },
}
"""Category -> attribute -> its values; the order of attributes is the order of every text. A
value belongs to one attribute of one category."""

_TABLE = """
bird | willow finch | red hooked single round striped
bird | north finch | red long unbarred forked spotted
bird | juniper finch | red long single forked striped
bird | valley finch | red long double pointed striped
bird | shore finch | red short unbarred forked striped
bird | kelp finch | red short single forked spotted
bird | elm wren | blue hooked unbarred forked striped
bird | marsh wren | blue hooked unbarred round spotted
bird | glade wren | blue hooked single forked spotted
bird | delta wren | blue hooked single round plain
bird | yew wren | blue long double round spotted
bird | fern wren | blue short unbarred pointed spotted
bird | prairie tern | yellow hooked double round spotted
bird | cliff tern | yellow long unbarred pointed plain
bird | reed tern | yellow long unbarred round spotted
bird | brook tern | yellow long double round plain
bird | heath tern | yellow short unbarred round plain
bird | oak tern | yellow short double forked plain
bird | alder crake | black hooked double pointed striped
bird | quarry crake | black long single pointed spotted
bird | upland crake | black short unbarred forked spotted
bird | lagoon crake | black short single pointed plain
bird | island crake | black short double pointed spotted
bird | tundra crake | black short double round striped
car | ultra lynx | sedan racked tinted checked ringed
car | nova lynx | sedan racked split smooth ringed
car | jet lynx | sedan bare tinted smooth ringed
car | wasp lynx | sedan bare tinted checked solid
car | onyx lynx | sedan bare split smooth solid
car | quartz lynx | sedan bare split checked ringed
car | kilo comet | van racked tinted smooth spoked
car | turbo comet | van racked tinted lined ringed
car | grand comet | van racked open lined spoked
car | dart comet | van racked open checked solid
car | halo comet | van bare tinted lined solid
car | rally comet | van aerial split lined solid
car | zephyr bison | pickup racked tinted checked solid
car | metro bison | pickup racked split checked spoked
car | flint bison | pickup bare tinted checked ringed
car | lunar bison | pickup bare split checked solid
car | vega bison | pickup aerial tinted lined spoked
car | echo bison | pickup aerial open checked spoked
car | atlas viper | coupe racked split lined solid
car | bolt viper | coupe bare split checked spoked
car | ion viper | coupe aerial tinted smooth solid
car | pilot viper | coupe aerial split smooth spoked
car | cosmo viper | coupe aerial split checked solid
car | sprint viper | coupe aerial open checked ringed
fish | gulf bass | orange crescent spiny dotted sharp
fish | tide bass | orange fanned spiny banded bearded
fish | zebra bass | orange square spiny banded sharp
fish | queen bass | orange square spiny clear bearded
fish | inlet bass | orange square tall dotted sharp
fish | pearl bass | orange square low banded bearded
fish | storm goby | violet crescent tall clear blunt
fish | west goby | violet fanned spiny dotted sharp
fish | harbor goby | violet fanned spiny clear blunt
fish | urban goby | violet fanned low clear bearded
fish | ocean goby | violet square spiny dotted blunt
fish | river goby | violet square spiny clear sharp
fish | jade perch | green crescent tall banded blunt
fish | bay perch | green crescent low dotted blunt
fish | king perch | green fanned tall dotted blunt
fish | moon perch | green fanned low banded sharp
fish | east perch | green fanned low dotted bearded
fish | silver perch | green square low clear blunt
fish | dawn tetra | white crescent spiny banded bearded
fish | cape tetra | white crescent spiny clear blunt
fish | velvet tetra | white crescent tall clear bearded
fish | noble tetra | white crescent low clear sharp
fish | fjord tetra | white fanned spiny banded blunt
fish | lake tetra | white fanned spiny clear bearded
"""


@dataclass(frozen=True)
class Species:
    """One class of the world."""

    category: str
    name: str
    """Epithet and genus, the label of its images."""
    genus: str
    values: tuple[str, ...]
    """One value per attribute of the category, in order."""


@cache
def all_species() -> tuple[Species, ...]:
    """The 72 classes, in the order of the table."""
    rows = [line.split(" | ") for line in _TABLE.strip().splitlines()]
    return tuple(
        Species(category, name, name.split()[-1], tuple(values.split()))
        for category, name, values in rows
    )


@cache
def species_of(category: str) -> tuple[Species, ...]:
    """The 24 classes of a category."""
    return tuple(item for item in all_species() if item.category == category)


@cache
def genera(category: str) -> tuple[str, ...]:
    """The four genera of a category."""
    return tuple(dict.fromkeys(item.genus for item in species_of(category)))


@cache
def genus_members(genus: str) -> tuple[Species, ...]:
    """The six classes of a genus."""
    return tuple(item for item in all_species() if item.genus == genus)


def find_species(name: str) -> Species:
    """The class of this name.

    Raises ValueError when the world has none.
    """
    for item in all_species():
        if item.name == name:
            return item
    raise ValueError(f"{name!r} is no class of the embedded world")


def distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Number of attributes in which two value tuples differ."""
    return sum(a != b for a, b in zip(first, second, strict=True))


def nearest(category: str, values: Sequence[str]) -> tuple[Species, ...]:
    """The classes of the category at the smallest distance from `values`, one or more."""
    distances = [distance(item.values, values) for item in species_of(category)]
    return tuple(
        item
        for item, steps in zip(species_of(category), distances, strict=True)
        if steps == min(distances)
    )


def flipped(category: str, values: Sequence[str], position: int) -> list[tuple[str, ...]]:
    """All value tuples that differ from `values` in the attribute at `position` alone."""
    choices = list(ATTRIBUTES[category].values())[position]
    return [
        (*values[:position], choice, *values[position + 1 :])
        for choice in choices
        if choice != values[position]
    ]


@cache
def correctable_errors(name: str) -> tuple[tuple[str, ...], ...]:
    """Value tuples with one wrong attribute that are still nearest to this class alone."""
    item = find_species(name)
    return tuple(
        wrong
        for position in range(len(item.values))
        for wrong in flipped(item.category, item.values, position)
        if nearest(item.category, wrong) == (item,)
    )


def taxonomy_hash() -> str:
    """First 12 hex digits of the SHA-256 over attributes and table."""
    return hashlib.sha256((repr(ATTRIBUTES) + _TABLE).encode()).hexdigest()[:12]
