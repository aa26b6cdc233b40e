import io

import numpy as np
import pytest
from PIL import Image

from finer1.data_params import WorldParams
from finer1.datasets.world import SIDES, draw_world, render_seed
from finer1.world.drawing import draw, png_bytes
from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import ATTRIBUTES, flipped

NUISANCE = 0.8
WORLD = load_taxonomy("embedded")


def settings(seed: int = 0, taxonomy: str = "embedded") -> WorldParams:
    return WorldParams(
        taxonomy=taxonomy,
        seed=seed,
        train_per_class=2,
        validation_per_class=1,
        test_per_class=1,
        nuisance=NUISANCE,
    )


@pytest.mark.parametrize("category", ATTRIBUTES)
def test_equal_seeds_give_equal_bytes(category):
    values = WORLD.by_category[category][0].values
    first, second = (png_bytes(draw(category, values, 7, NUISANCE), {}) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("category", ATTRIBUTES)
def test_other_seeds_give_very_different_images(category):
    values = WORLD.by_category[category][0].values
    first, second = (np.asarray(draw(category, values, k, NUISANCE), float) for k in (1, 2))
    assert np.abs(first - second).mean() > 10


@pytest.mark.parametrize("category", ATTRIBUTES)
@pytest.mark.parametrize("place", range(5))
def test_every_value_shows_in_the_image(category, place):
    values = WORLD.by_category[category][0].values
    image = np.asarray(draw(category, values, 3, 0.0), float)
    for other in flipped(category, values, place):
        changed = np.abs(np.asarray(draw(category, other, 3, 0.0), float) - image).max(axis=2) > 30
        assert changed.sum() >= 12


def test_the_image_file_carries_what_it_shows():
    content = png_bytes(draw("bird", WORLD.species[0].values, 1, 0.5), {"label": "elm wren"})
    image = Image.open(io.BytesIO(content)).convert("RGB")
    assert image.size == (64, 64)
    assert image.info["label"] == "elm wren"


def test_the_data_set_holds_every_class_on_every_side():
    rows = draw_world(settings()).images
    assert len(rows) == 72 * 4
    assert len({row.path for row in rows}) == len({row.source for row in rows}) == 288
    for side in SIDES:
        assert {r.label for r in rows if r.official == side} == {s.name for s in WORLD.species}


def test_another_world_seed_gives_other_images():
    first, second = (draw_world(settings(seed)).images[0] for seed in (0, 1))
    assert first.path == second.path
    assert first.source != second.source


@pytest.mark.slow
def test_a_large_world_draws_378_classes():
    rows = draw_world(settings(taxonomy="large_0")).images
    assert len({row.label for row in rows}) == 378
    assert len({row.source for row in rows}) == 378 * 4


def test_an_unknown_taxonomy_is_refused():
    with pytest.raises(ValueError, match="there is no taxonomy small"):
        draw_world(settings(taxonomy="small"))


# 2**40 // (3 sides x 72 classes x 4096 renders) = 1,242,756
@pytest.mark.parametrize("seed", [-1, 1_242_756])
def test_a_seed_that_would_reach_the_renders_of_pre_training_is_refused(seed):
    with pytest.raises(ValueError, match="must be 0 to 1242755"):
        draw_world(settings(seed))


def test_render_seeds_are_apart():
    seeds = {
        render_seed(world, side, 72, place, number)
        for world in (0, 1)
        for side in SIDES
        for place in range(72)
        for number in (0, 1, 4095)
    }
    assert len(seeds) == 2 * 3 * 72 * 3
    assert max(seeds) < 1 << 40
