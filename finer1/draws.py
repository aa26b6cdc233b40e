"""Seeded choices that depend on what is chosen, not on the order of choosing.

A draw is a hash of the seed and the names of the thing, never the next value of a running
generator: adding an image or a class leaves the choices of all others as they were.
"""

import hashlib

SEED_BITS = 31
"""Seeds stay below 2**31, which every engine and server takes."""


def draw(seed: int, *names: str) -> int:
    """A number in [0, 2**64), uniform over seeds and names."""
    text = "\0".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def derive_seed(seed: int, *names: str) -> int:
    """A seed of its own for the thing of these names, in [0, 2**31)."""
    return draw(seed, *names) >> (64 - SEED_BITS)
