"""The embedded world as a data set: drawn on demand, nothing to download.

Each PNG carries its label and true attributes as tEXt chunks. The oracle teacher sees through
them; a policy's processor reads pixels only.
"""

from finer1.data_params import WorldParams
from finer1.datasets.interface import ListedImage, Listing, Side
from finer1.world.drawing import draw, png_bytes
from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import Species

SIDES: tuple[Side, ...] = ("train", "validation", "test")

_MAX_PER_CLASS = 1 << 12
_MAX_RENDERS = 1 << 40
"""Where the render seeds of pre-training begin."""


def draw_world(world: WorldParams) -> Listing:
    """Every image of the world, side by side, class by class, with its PNG bytes.

    Raises ValueError when the seed or a number per class is beyond what seeds are kept apart for.
    """
    counts = (world.train_per_class, world.validation_per_class, world.test_per_class)
    species = load_taxonomy(world.taxonomy).species
    seeds = _MAX_RENDERS // (len(SIDES) * len(species) * _MAX_PER_CLASS)
    if not 0 <= world.seed < seeds:
        raise ValueError(f"download.world.seed is {world.seed}; it must be 0 to {seeds - 1}")
    if max(counts) > _MAX_PER_CLASS:
        raise ValueError(f"download.world draws at most {_MAX_PER_CLASS} images of a class a side")
    images = []
    for side, count in zip(SIDES, counts, strict=True):
        for place, item in enumerate(species):
            for number in range(count):
                seed = render_seed(world.seed, side, len(species), place, number)
                images.append(_render(item, side, number, seed, world.nuisance))
    return Listing(tuple(images))


def render_seed(seed: int, side: Side, classes: int, place: int, number: int) -> int:
    """Seed of one render; no two images of one taxonomy share one, whatever their world's seed."""
    block = (seed * len(SIDES) + SIDES.index(side)) * classes + place
    return block * _MAX_PER_CLASS + number


def _render(species: Species, side: Side, number: int, seed: int, nuisance: float) -> ListedImage:
    texts = {
        "category": species.category,
        "label": species.name,
        "attributes": " ".join(species.values),
    }
    path = f"{side}/{species.category}/{species.name.replace(' ', '_')}_{number:03d}.png"
    return ListedImage(
        path=path,
        category=species.category,
        label=species.name,
        group=species.genus,
        official=side,
        source=png_bytes(draw(species.category, species.values, seed, nuisance), texts),
        where=f"world/{path}",
    )
