"""A model of a size that fits the head, and the paper's."""

import pytest

from finer1.planning.architecture import (
    Architecture,
    Decoder,
    Tower,
    published_configs,
    read_architecture,
)


@pytest.fixture
def small():
    """Decoder of 2 layers, tower of 1 block; sizes for working by hand."""
    decoder = Decoder(
        hidden=8, layers=2, heads=4, kv_heads=2, intermediate=16, vocabulary=10, is_tied=True
    )
    tower = Tower(
        hidden=4,
        depth=1,
        heads=2,
        intermediate=6,
        out=8,
        patch=2,
        is_gated=True,
        full_blocks=1,
        window=2,
    )
    return Architecture("small", decoder, tower)


@pytest.fixture
def published():
    """Name without owner -> architecture."""
    return {
        name.rpartition("/")[2]: read_architecture(config, name)
        for name, config in published_configs().items()
    }
