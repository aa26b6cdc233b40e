"""The drawn world's classes: what there is, how the classes differ, who is near whom.

A class is one combination of five attribute values. Classes of one genus share the first
attribute. A taxonomy is a table of classes; finer1/world/taxonomies.py has them by name.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Species:
    """One class of the world."""

    category: str
    name: str
    """Epithet and genus, the label of its images."""
    genus: str
    values: tuple[str, ...]
    """One value per attribute of the category, in order."""


@dataclass(frozen=True)
class Taxonomy:
    """All classes of one world."""

    name: str
    table: str
    """A line per class: category | name | values."""

    @cached_property
    def species(self) -> tuple[Species, ...]:
        """The classes, in the order of the table."""
        rows = [line.split(" | ") for line in self.table.strip().splitlines()]
        return tuple(
            Species(category, name, name.split()[-1], tuple(values.split()))
            for category, name, values in rows
        )

    @cached_property
    def by_category(self) -> Mapping[str, tuple[Species, ...]]:
        """Category -> its classes."""
        return {
            category: tuple(item for item in self.species if item.category == category)
            for category in ATTRIBUTES
        }

    @cached_property
    def genera(self) -> Mapping[str, tuple[str, ...]]:
        """Category -> its genera, in the order of the table."""
        return {
            category: tuple(dict.fromkeys(item.genus for item in items))
            for category, items in self.by_category.items()
        }

    @cached_property
    def by_genus(self) -> Mapping[str, tuple[Species, ...]]:
        """Genus -> its classes."""
        return {
            genus: tuple(item for item in self.species if item.genus == genus)
            for genera in self.genera.values()
            for genus in genera
        }

    @cached_property
    def by_values(self) -> Mapping[tuple[str, ...], Species]:
        """Attribute values -> the class that has them."""
        return {item.values: item for item in self.species}

    @cached_property
    def _by_name(self) -> Mapping[str, Species]:
        return {item.name: item for item in self.species}

    @cached_property
    def correctable_errors(self) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        """Name -> value tuples with one wrong attribute that are nearest to this class alone."""
        return {
            item.name: tuple(
                wrong
                for position in range(len(item.values))
                for wrong in flipped(item.category, item.values, position)
                if self.nearest(item.category, wrong) == (item,)
            )
            for item in self.species
        }

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 over attributes and table."""
        return hashlib.sha256((repr(ATTRIBUTES) + self.table).encode()).hexdigest()[:12]

    def find(self, name: str) -> Species:
        """The class of this name.

        Raises ValueError when the world has none.
        """
        if name not in self._by_name:
            raise ValueError(f"{name!r} is no class of the drawn world {self.name}")
        return self._by_name[name]

    def nearest(self, category: str, values: Sequence[str]) -> tuple[Species, ...]:
        """The classes of the category at the smallest distance from `values`, one or more."""
        classes = self.by_category[category]
        distances = [distance(item.values, values) for item in classes]
        return tuple(
            item for item, steps in zip(classes, distances, strict=True) if steps == min(distances)
        )


def distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Number of attributes in which two value tuples differ."""
    return sum(a != b for a, b in zip(first, second, strict=True))


def flipped(category: str, values: Sequence[str], position: int) -> list[tuple[str, ...]]:
    """All value tuples that differ from `values` in the attribute at `position` alone."""
    choices = list(ATTRIBUTES[category].values())[position]
    return [
        (*values[:position], choice, *values[position + 1 :])
        for choice in choices
        if choice != values[position]
    ]
