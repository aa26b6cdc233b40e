"""The taxonomies by name: the committed base's own, and large ones drawn by seed.

`embedded`: 72 classes, 24 in each category, two attributes or more apart, so that one misread
attribute is often still recoverable.
`large_<seed>`: 378 classes, 126 in each category, drawn from all 324 combinations of values. Most
classes have siblings that differ in one attribute alone: whoever misreads it names a sibling.
"""

import re
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from finer1.world.taxonomy import ATTRIBUTES, Taxonomy

LARGE_CLASSES = 126
"""Classes of a category: 75 seen and 51 unseen at 60 %."""

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
    if seed := re.fullmatch(r"large_(\d{1,6})", name):
        return Taxonomy(name, draw_table(int(seed[1]), LARGE_CLASSES))
    raise ValueError(
        f"there is no taxonomy {name}; write embedded, or large_<seed> with a number, as large_0"
    )


def draw_table(seed: int, classes: int) -> str:
    """The table of a taxonomy with so many classes in each category, by genus.

    classes: 126 at most, for want of epithets.
    """
    rng = np.random.default_rng([seed, 0x7A70])
    lines = []
    for category, table in ATTRIBUTES.items():
        combinations = list(product(*table.values()))
        chosen = np.sort(rng.choice(len(combinations), size=classes, replace=False))
        epithets = rng.permutation(_EPITHETS.split())[:classes]
        colours = list(next(iter(table.values())))
        for place, epithet in zip(chosen, epithets, strict=True):
            values = combinations[place]
            genus = _GENERA[category][colours.index(values[0])]
            lines.append(f"{category} | {epithet} {genus} | {' '.join(values)}")
    return "\n".join(lines) + "\n"
