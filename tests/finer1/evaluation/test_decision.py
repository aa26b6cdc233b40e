import numpy as np
import pytest

from finer1.evaluation.decision import Components, decide
from finer1.evaluation.statistics import Bootstrap

BOOTSTRAP = Bootstrap(samples=2000, confidence=0.95, seed=0)


def decided(table, margin=0.02):
    """The decision on a table seed -> class -> difference, one value per class and seed."""
    rows = [(value, name, seed) for seed, row in table.items() for name, value in row.items()]
    values, classes, seeds = zip(*rows, strict=True)
    return decide(values, classes, seeds, BOOTSTRAP, margin)


def alike(num_seeds, num_classes, value):
    return {seed: {f"c{k}": value for k in range(num_classes)} for seed in range(num_seeds)}


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_beside_zero_differs(sign):
    # Every class at every seed gains 3 or 5 points, so that each resampled mean lies between.
    table = {s: {f"c{k}": sign * (0.03 if k % 2 else 0.05) for k in range(10)} for s in range(3)}
    decision = decided(table)
    assert decision.answer == "differs"
    assert decision.needed is None


def test_an_interval_within_the_margin_is_no_difference():
    # Means lie between -1 and 1 point, on both sides of zero.
    table = {s: {f"c{k}": 0.01 if k % 2 else -0.01 for k in range(10)} for s in range(3)}
    assert decided(table).answer == "no difference"


def test_an_interval_up_to_the_margin_is_no_difference():
    # Seed 0 gains 2 points, seed 1 loses 2: the ends are the margin itself.
    decision = decided({0: {"a": 0.02, "b": 0.02}, 1: {"a": -0.02, "b": -0.02}})
    assert (decision.interval.low, decision.interval.high) == (-0.02, 0.02)
    assert decision.answer == "no difference"


def test_a_small_difference_that_excludes_zero_differs():
    assert decided(alike(2, 4, 0.01)).answer == "differs"


def test_an_interval_across_zero_and_margin_is_open():
    assert decided({0: {"a": 0.5, "b": -0.3}, 1: {"a": -0.4, "b": 0.4}}).answer == "open"


def test_one_seed_says_nothing_of_others():
    decision = decided(alike(1, 10, 0.2))
    assert decision.answer == "open"
    assert decision.components is None
    assert decision.needed is None


def test_components_of_a_balanced_table_are_those_of_the_analysis_of_variance():
    # Class means 0.3 and 0.1, seed means 0.1 and 0.3, grand mean 0.2; residuals +-0.1.
    # MS(classes) = 2 (0.1^2 + 0.1^2) / 1 = 0.04, MS(seeds) likewise, MS(rest) = 4 * 0.01 = 0.04;
    # classes: (0.04 - 0.04) / 2 = 0, seeds: 0, rest: 0.04.
    decision = decided({0: {"a": 0.3, "b": -0.1}, 1: {"a": 0.3, "b": 0.3}})
    assert decision.components.rest == pytest.approx(0.04)
    assert decision.components.classes == pytest.approx(0, abs=1e-12)
    assert decision.components.seeds == pytest.approx(0, abs=1e-12)
    # Seeds alone: MS(seeds) = 2 (0.2^2 + 0.2^2) = 0.16, over 2 classes 0.08; the rest 0.
    decision = decided({0: {"a": 0.3, "b": 0.3}, 1: {"a": -0.1, "b": -0.1}})
    assert decision.components.seeds == pytest.approx(0.08)
    assert decision.components.classes == pytest.approx(0, abs=1e-12)
    assert decision.components.rest == pytest.approx(0, abs=1e-12)


def drawn(num_seeds, asked, total, sizes, generator, mu=0.0):
    """A table by the model; each seed asks about `asked` of `total` classes."""
    classes = generator.normal(0, sizes.classes**0.5, total)
    return {
        seed: {
            f"c{k}": mu + classes[k] + of_seed + generator.normal(0, sizes.rest**0.5)
            for k in generator.permutation(total)[:asked]
        }
        for seed, of_seed in enumerate(generator.normal(0, sizes.seeds**0.5, num_seeds))
    }


def test_components_are_found_where_seeds_ask_about_different_classes():
    sizes = Components(classes=0.04, seeds=0.01, rest=0.09)
    generator = np.random.default_rng(0)
    found = [decided(drawn(8, 60, 150, sizes, generator)).components for _ in range(60)]
    # 60 tables: the standard error of the mean is below a tenth of each variance, but for seeds'.
    assert np.mean([c.classes for c in found]) == pytest.approx(0.04, rel=0.15)
    assert np.mean([c.seeds for c in found]) == pytest.approx(0.01, rel=0.25)
    assert np.mean([c.rest for c in found]) == pytest.approx(0.09, rel=0.1)


def test_seeds_that_would_decide_are_counted_from_the_components():
    # Seeds alone vary: +3, +1, -1 points for all classes. Mean 1, variance of the sample 4e-4, no
    # other component. Half-width 1.96 sqrt(4e-4 / S) falls to 1 point at S = 15.4, so 16. The
    # margin less the effect is 1 point as well. No number of classes changes anything.
    table = {0: 0.03, 1: 0.01, 2: -0.01}
    decision = decided({s: {f"c{k}": v for k in range(5)} for s, v in table.items()})
    assert decision.answer == "open"
    assert decision.components.seeds == pytest.approx(4e-4)
    assert decision.needed.num_seeds == 16
    assert decision.needed.num_classes is None
    assert decision.needed.factor == pytest.approx(15.366 / 3, rel=1e-3)


def test_classes_that_would_decide_are_counted_from_the_components():
    # Classes alone vary: half gain 12 points, half lose 8, at both seeds. Mean 2; variance of the
    # sample of 10: 10 * 0.01 / 9. Half-width 1.96 sqrt(0.1 / 9 / K) falls to 2 points at 106.7.
    table = {s: {f"c{k}": 0.12 if k % 2 else -0.08 for k in range(10)} for s in range(2)}
    decision = decided(table)
    assert decision.answer == "open"
    assert decision.needed.num_classes == 107
    assert decision.needed.num_seeds is None


def test_new_seeds_bring_new_classes_where_each_seed_has_its_own():
    # As above with other classes at each seed: 20 of them, and 106.7 would do, which are 10.67
    # seeds of 10 classes, or 53.4 classes at each of 2 seeds.
    table = {s: {f"{s}-{k}": 0.12 if k % 2 else -0.08 for k in range(10)} for s in range(2)}
    decision = decided(table)
    assert decision.answer == "open"
    assert (decision.needed.num_seeds, decision.needed.num_classes) == (11, 54)


def test_near_zero_it_is_the_margin_that_would_decide():
    # As above with mean 0: the half-width has to fall to the margin of 2 points.
    table = {s: {f"c{k}": 0.1 if k % 2 else -0.1 for k in range(10)} for s in range(2)}
    assert decided(table).needed.num_classes == 107


def test_seeds_with_classes_of_their_own_bring_more_classes():
    # Each of 2 seeds has 10 classes of its own, half +12, half -8 points: 20 independent classes
    # with the variance of a sample 10 * 0.01 / 9. 1.96 sqrt(0.1 / 9 / n) falls to 2 points at
    # n = 106.7 in all: 54 per seed, or 11 seeds of 10. Half each counts as class and as rest.
    table = {s: {f"c{s}-{k}": 0.12 if k % 2 else -0.08 for k in range(10)} for s in range(2)}
    needed = decided(table).needed
    assert (needed.num_classes, needed.num_seeds) == (54, 11)


def test_what_would_decide_is_more_than_there_is():
    # The largest of few classes carries the mean: the half-width of the model is below the effect,
    # yet the interval touches zero.
    table = {s: {"a": 0.0, "b": 0.0, "c": 0.3} for s in range(2)}
    decision = decided(table)
    assert decision.answer == "open"
    assert decision.needed.num_classes > 3


def test_the_same_seed_gives_the_same_decision():
    table = drawn(3, 20, 40, Components(0.02, 0.001, 0.05), np.random.default_rng(1))
    assert decided(table) == decided(table)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="at least one question"):
        decide([], [], [], BOOTSTRAP, 0.02)
