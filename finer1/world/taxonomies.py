"""The taxonomies by name: the committed base's own, and large ones drawn by seed.

`embedded`: 72 classes, 24 in each category, two attributes or more apart, so that one misread
attribute is often still recoverable.
`twins_<seed>`: 72 classes in the words of the embedded ones, drawn so that each has a twin which
differs in one attribute alone, and all others in two or more.
`large_<seed>`: 378 classes, 126 in each category, drawn from all 324 combinations of values. Most
classes have siblings that differ in one attribute alone: whoever misreads it names a sibling.
"""

import re
from collections.abc import Callable
from functools import cache
from itertools import combinations, product
from pathlib import Path

import numpy as np

from finer1.world.taxonomy import ATTRIBUTES, Taxonomy, distance

LARGE_CLASSES = 126
"""Classes of a category: 75 seen and 51 unseen at 60 %."""
TWINS_PER_GENUS = 3
"""Pairs: 24 classes in a category, of which 14 seen and 10 unseen at 60 %."""

_Values = tuple[str, ...]

_GENERA = {
    "bird": ("finch", "wren", "tern", "crake"),
    "car": ("lynx", "comet", "bison", "viper"),
    "fish": ("bass", "goby", "perch", "tetra"),
}
"""One for each value of the first attribute."""

_EPITHETS = """
willow north juniper valley shore kelp elm marsh glade delta yew fern prairie cliff reed brook
heath oak alder quarry upland lagoon island tundra ultra nova jet wasp onyx quartz kilo turbo
grand dart halo rally zephyr metro flint lunar vega echo atlas bolt ion pilot cosmo sprint gulf
tide zebra queen inlet pearl storm west harbor urban ocean river jade bay king moon east silver
dawn cape velvet noble fjord lake amber aspen birch bramble canyon cedar clover copper coral
crystal desert drift ember estuary falcon frost garnet granite hazel heron hollow indigo ivory
jasper laurel linden lotus maple meadow mesa mist monsoon moss nectar nimbus opal orchid pebble
pine plume poplar raven ripple saffron sage sierra sorrel summit thistle timber topaz torrent
tulip vapor
"""
"""One for each class of a category."""


@cache
def load_taxonomy(name: str) -> Taxonomy:
    """The taxonomy of this name.

    Raises ValueError for any other.
    """
    if name == "embedded":
        path = Path(__file__).with_name("embedded_classes.txt")
        return Taxonomy(name, f"\n{path.read_text(encoding='utf-8')}")
    drawn = re.fullmatch(r"(large|twins)_(\d{1,6})", name)
    if drawn is None:
        raise ValueError(
            f"there is no taxonomy {name}; write embedded, or large_<seed> or twins_<seed> with a "
            "number, as twins_0"
        )
    choose = _choose_many if drawn[1] == "large" else _choose_twins
    return Taxonomy(name, draw_table(int(drawn[2]), choose))


def draw_table(seed: int, choose: Callable[[str, np.random.Generator], list[_Values]]) -> str:
    """The table of a taxonomy, by genus.

    choose: the values of a category's classes, 126 at most, for want of epithets; of no more than
    24, no two of different categories share one.
    """
    rng = np.random.default_rng([seed, 0x7A70])
    lines, words = [], _EPITHETS.split()
    for number, (category, table) in enumerate(ATTRIBUTES.items()):
        members = choose(category, rng)
        own = words[24 * number :][:24] if len(members) <= 24 else words
        colours = list(next(iter(table.values())))
        for values, epithet in zip(members, rng.permutation(own), strict=False):
            genus = _GENERA[category][colours.index(values[0])]
            lines.append(f"{category} | {epithet} {genus} | {' '.join(values)}")
    return "\n".join(lines) + "\n"


def _choose_many(category: str, rng: np.random.Generator) -> list[_Values]:
    """LARGE_CLASSES of all combinations."""
    every = list(product(*ATTRIBUTES[category].values()))
    places = np.sort(rng.choice(len(every), size=LARGE_CLASSES, replace=False))
    return [every[place] for place in places]


def _choose_twins(category: str, rng: np.random.Generator) -> list[_Values]:
    """TWINS_PER_GENUS pairs in each genus, one attribute apart, and two or more from the rest."""
    every = list(product(*ATTRIBUTES[category].values()))
    pairs = [pair for pair in combinations(every, 2) if distance(*pair) == 1]
    pairs = [(one, two) for one, two in pairs if one[0] == two[0]]
    genera = next(iter(ATTRIBUTES[category].values()))
    while True:
        taken: list[_Values] = []
        for genus in genera:
            found = 0
            for place in rng.permutation(len(pairs)):
                pair = pairs[place]
                is_apart = all(distance(mine, other) > 1 for mine in pair for other in taken)
                if pair[0][0] == genus and is_apart and found < TWINS_PER_GENUS:
                    taken += pair
                    found += 1
        if len(taken) == 2 * TWINS_PER_GENUS * len(genera):
            return taken
