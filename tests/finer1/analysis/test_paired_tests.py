import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_rel

from finer1.analysis.paired_tests import paired_test
from finer1.report.published import published_analyses


def test_t_and_p_are_those_of_a_paired_t_test():
    # Differences 1, 2, 3: mean 2, standard deviation 1, t = 2 / (1 / sqrt(3)) = 3.4641.
    found = paired_test([1, 2, 3], 1000, 0)
    expected = ttest_rel([2, 4, 6], [1, 2, 3])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.t == pytest.approx(12**0.5) == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_few_pairs_are_permuted_exactly():
    # Of the 8 assignments of signs to 1, 2, 3 only +++ and --- have a mean of 2 or more.
    assert paired_test([1, 2, 3], 8, 0).permutation_p == 2 / 8
    # -1, 2, 3: sums of 4 or more in size are +-(-1, 2, 3) = 4 and +-(1, 2, 3) = 6: 4 of 8.
    assert paired_test([-1, 2, 3], 8, 0).permutation_p == 4 / 8


def test_many_pairs_are_permuted_by_seed():
    values = np.random.default_rng(0).normal(0.2, 1, 60)
    first = paired_test(values, 5000, 1)
    assert paired_test(values, 5000, 1) == first
    # Student's p of normal differences; 0.02 is three standard errors of 5000 draws at p = 0.2.
    assert first.permutation_p == pytest.approx(first.p, abs=0.02)


def test_a_permuted_p_is_never_zero():
    assert paired_test([1.0] * 40, 99, 0).permutation_p == 1 / 100


def test_equal_differences_have_no_t():
    found = paired_test([0.0, 0.0, 0.0], 8, 0)
    assert (found.t, found.p, found.permutation_p) == (None, None, 1.0)


def test_one_pair_is_no_sample():
    with pytest.raises(ValueError, match="at least two"):
        paired_test([1.0], 8, 0)


def test_what_is_said_about_the_published_t_and_p_holds():
    base, ours = published_analyses()

    # Every t that is rounded to the published one, at every number of pairs.
    counts = np.arange(2, 1000)
    rounded_to_it = np.array([0.38715, 0.3872, 0.38725])[:, None]
    fits = np.round(2 * student.sf(rounded_to_it, counts - 1), 4) == base.p
    pairs = counts[fits.any(axis=0)]
    assert (base.t, pairs[0], pairs[-1]) == (-0.3872, 107, 137)
    deviation = (ours.delta - base.delta) / abs(base.t) * pairs[0] ** 0.5
    assert deviation == pytest.approx(1.18, abs=0.01)
