"""The embedded world as a data set: drawn on demand, nothing to download.

Each PNG carries its label and true attributes as tEXt chunks. The oracle teacher sees through
them; a policy's processor reads pixels only.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from finer1.data_params import DownloadParams
from finer1.records import ImageRecord
from finer1.world.drawing import draw, png_bytes
from finer1.world.taxonomy import Species, all_species

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")

_MAX_PER_CLASS = 1 << 12
_MAX_SEED = 1 << 20
"""Together they keep render seeds below 2**40, where those of pre-training begin."""


def read(root: Path | None, settings: DownloadParams) -> Iterator[tuple[ImageRecord, bytes]]:
    """Every image of the world, side by side, class by class, with its PNG bytes.

    root: not used; the world is drawn.
    Raises ValueError when the seed or a number per class is beyond what seeds are kept apart for.
    """
    world = settings.world
    counts = (world.train_per_class, world.validation_per_class, world.test_per_class)
    if not 0 <= world.seed < _MAX_SEED:
        raise ValueError(f"download.world.seed is {world.seed}; it must be 0 to {_MAX_SEED - 1}")
    if max(counts) > _MAX_PER_CLASS:
        raise ValueError(f"download.world draws at most {_MAX_PER_CLASS} images of a class a side")
    for side, count in zip(SIDES, counts, strict=True):
        for place, species in enumerate(all_species()):
            for number in range(count):
                seed = render_seed(world.seed, side, place, number)
                yield _render(species, side, number, seed, world.nuisance)


def render_seed(seed: int, side: Side, place: int, number: int) -> int:
    """Seed of one render; no two images of any world share one."""
    block = (seed * len(SIDES) + SIDES.index(side)) * len(all_species()) + place
    return block * _MAX_PER_CLASS + number


def _render(
    species: Species, side: Side, number: int, seed: int, nuisance: float
) -> tuple[ImageRecord, bytes]:
    texts = {
        "category": species.category,
        "label": species.name,
        "attributes": " ".join(species.values),
    }
    content = png_bytes(draw(species.category, species.values, seed, nuisance), texts)
    member = f"{side}/{species.category}/{species.name.replace(' ', '_')}_{number:03d}.png"
    record = ImageRecord(
        id=f"world/{member}",
        dataset="world",
        category=species.category,
        label=species.name,
        group=species.genus,
        member=member,
        sha256=hashlib.sha256(content).hexdigest(),
        official=side,
    )
    return record, content
