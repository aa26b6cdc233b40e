"""Whether paired differences are zero in the mean: Student's t and a test by flipping signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1_000_000
"""Signs that are held at once."""


@dataclass(frozen=True)
class PairedTest:
    """Two-sided tests of one mean difference."""

    mean: float
    n: int
    """Pairs; n - 1 degrees of freedom."""
    t: float | None
    """None where all differences are equal, which leaves the spread unknown."""
    p: float | None
    permutation_p: float
    """Share of the assignments of signs whose mean is as far from zero; no normality is assumed."""


def paired_test(differences: Sequence[float], permutations: int, seed: int) -> PairedTest:
    """Test the mean of paired differences against zero.

    permutations: random assignments of signs; all 2 ** n are taken where they are no more than
    that. Raises ValueError on fewer than two differences.
    """
    from scipy.stats import ttest_1samp

    values = np.asarray(differences, dtype=float)
    if len(values) < 2:
        raise ValueError("a paired test needs at least two differences")
    t, p = None, None
    if np.ptp(values) > 0:
        t, p = map(float, ttest_1samp(values, 0.0))
    return PairedTest(
        float(values.mean()), len(values), t, p, _sign_flip_p(values, permutations, seed)
    )


def _sign_flip_p(values: NDArray[np.float64], permutations: int, seed: int) -> float:
    size = len(values)
    # A mean that differs from the observed one by rounding alone is as far from zero.
    limit = abs(values.mean()) - 1e-12
    if size < permutations.bit_length() and 2**size <= permutations:
        signs = np.array(list(product((-1.0, 1.0), repeat=size)))
        return float((np.abs(signs @ values) / size >= limit).mean())
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // size)
    far = 0
    for start in range(0, permutations, chunk):
        count = min(chunk, permutations - start)
        signs = generator.choice((-1.0, 1.0), size=(count, size))
        far += int((np.abs(signs @ values) / size >= limit).sum())
    # The observed assignment counts as one of them: p is never 0 (Phipson and Smyth 2010).
    return (1 + far) / (1 + permutations)
