"""The renders that the base is pre-trained on: half of them of classes, half of any values."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finer1.files import new_file
from finer1.world.drawing import SIZE, draw
from finer1.world.taxonomy import ATTRIBUTES, Species, Taxonomy


@dataclass(frozen=True)
class Picture:
    """What a render of the pool shows."""

    category: str
    values: tuple[str, ...]
    species: Species | None
    """None for a combination of values drawn at random."""


def plan_pool(world: Taxonomy, seed: int, num_images: int) -> list[Picture]:
    """What the pool shows, by seed; classes in turn on even places."""
    rng = np.random.default_rng([seed, 0])
    pictures = []
    for number in range(num_images):
        species = world.species[number // 2 % len(world.species)]
        if number % 2 == 0:
            pictures.append(Picture(species.category, species.values, species))
            continue
        category = list(ATTRIBUTES)[number // 2 % len(ATTRIBUTES)]
        table = ATTRIBUTES[category].values()
        values = tuple(str(rng.choice(choices)) for choices in table)
        pictures.append(Picture(category, values, world.by_values.get(values)))
    return pictures


def draw_pool(pictures: list[Picture], seed: int, nuisance: float) -> np.ndarray:
    """The renders, uint8 [number of pictures, SIZE, SIZE, 3].

    Seeds of the pool lie above 2**40, away from those of any data set of the world.
    """
    pixels = np.empty((len(pictures), SIZE, SIZE, 3), np.uint8)
    for number, picture in enumerate(pictures):
        render_seed = (1 << 40) + (seed << 24) + number
        image = draw(picture.category, picture.values, render_seed, nuisance)
        pixels[number] = np.asarray(image)
    return pixels


def load_pool(path: Path, pictures: list[Picture], seed: int, nuisance: float) -> np.ndarray:
    """The renders from `path`, drawn and kept there at the first call."""
    if not path.exists():
        pixels = draw_pool(pictures, seed, nuisance)
        with new_file(path, pixels.nbytes) as part, part.open("wb") as file:
            np.save(file, pixels)
    return np.load(path, mmap_mode="r", allow_pickle=False)
