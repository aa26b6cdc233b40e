import numpy as np
import pytest

from finer1.evaluation.statistics import (
    Bootstrap,
    Part,
    average_interval,
    macro_mean,
    mean_interval,
    mean_intervals,
    paired_values,
)

BOOTSTRAP = Bootstrap(samples=4000, confidence=0.95, seed=0)
TWO_CLASSES = ([1, 1, 0, 0], ["a", "a", "b", "b"])
"""Class a all right, b all wrong: resamples of two classes have mean 0, 1/2 or 1 with
probability 1/4, 1/2 and 1/4."""


def test_wide_interval_of_two_classes_spans_both():
    # The 2.5 % quantile lies in the quarter at 0, the 97.5 % one in the quarter at 1.
    interval = mean_interval(*TWO_CLASSES, BOOTSTRAP)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_narrow_interval_of_two_classes_is_the_middle():
    # At level 0.4 both quantiles, 0.3 and 0.7, lie in the half at 1/2.
    interval = mean_interval(*TWO_CLASSES, Bootstrap(4000, 0.4, 0))
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_many_classes_approach_the_normal_interval():
    # 400 classes of one question, half right: 1.96 * sqrt(0.25 / 400) = 0.049.
    values = [0, 1] * 200
    interval = mean_interval(values, [str(number) for number in range(400)], BOOTSTRAP)
    assert interval.low == pytest.approx(0.451, abs=0.006)
    assert interval.high == pytest.approx(0.549, abs=0.006)


def test_questions_of_one_class_are_resampled_together():
    # The same answers in 10 classes of 40 instead of 400 of one: sqrt(40) times as wide.
    values = [number % 2 for number in range(10) for _ in range(40)]
    interval = mean_interval(values, [str(n) for n in range(10) for _ in range(40)], BOOTSTRAP)
    assert interval.high - interval.low > 0.5


def test_larger_classes_weigh_more_in_the_mean_and_equally_in_the_macro_mean():
    # Three right in a, one wrong in b: 3/4 over questions, (1 + 0) / 2 over classes.
    values, classes = [1, 1, 1, 0], ["a", "a", "a", "b"]
    assert mean_interval(values, classes, BOOTSTRAP).value == 0.75
    assert macro_mean(values, classes) == 0.5


def test_all_right_has_no_width():
    interval = mean_interval([1, 1, 1], ["a", "b", "c"], BOOTSTRAP)
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def test_order_of_questions_does_not_matter():
    values, classes = [1, 0, 0, 1, 1], ["a", "b", "c", "b", "a"]
    turned = mean_interval(values[::-1], classes[::-1], BOOTSTRAP)
    assert turned == mean_interval(values, classes, BOOTSTRAP)


def test_the_seed_decides_the_interval():
    values, classes = np.arange(30) % 3 / 2, [str(number) for number in range(30)]
    same = [mean_interval(values, classes, Bootstrap(50, 0.95, seed)) for seed in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


def test_resampled_runs_widen_the_interval():
    # Run 0 gains a point on every question, run 1 loses one; classes alone see mean 0 always,
    # drawing two of the two runs gives -1, 0 or 1 with probability 1/4, 1/2 and 1/4.
    values, classes, runs = [1, 1, -1, -1], ["a", "b", "a", "b"], [0, 0, 1, 1]
    fixed = mean_interval(values, classes, BOOTSTRAP)
    drawn = mean_interval(values, classes, BOOTSTRAP, runs)
    assert (fixed.low, fixed.high) == (0, 0)
    assert (drawn.value, drawn.low, drawn.high) == (0, -1, 1)


def test_runs_over_different_classes_are_pooled():
    # Half of the resamples pair a run only with classes it never asked about; they drop out.
    interval = mean_interval([1, 0], ["a", "b"], BOOTSTRAP, [0, 1])
    assert (interval.value, interval.low, interval.high) == (0.5, 0, 1)


def test_no_question_has_no_interval():
    with pytest.raises(ValueError, match="at least one question"):
        mean_interval([], [], BOOTSTRAP)


def test_differences_are_paired_by_question():
    # q1: 1 - 0, q2: 0 - 1.
    assert paired_values(["q1", "q2"], [1, 0], ["q2", "q1"], [1, 0]) == [1, -1]


def test_equal_answers_differ_by_nothing():
    values = paired_values(["q1", "q2"], [1, 0], ["q1", "q2"], [1, 0])
    interval = mean_interval(values, ["a", "b"], BOOTSTRAP)
    assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_other_questions_cannot_be_paired():
    with pytest.raises(ValueError, match="same questions"):
        paired_values(["q1", "q2"], [1, 0], ["q1", "q3"], [1, 0])


def test_a_question_that_comes_twice_cannot_be_paired():
    with pytest.raises(ValueError, match="comes twice"):
        paired_values(["q1", "q1"], [1, 0], ["q1"], [1])


def test_several_values_have_the_intervals_that_each_has_alone():
    values, classes = TWO_CLASSES
    columns = {"a": values, "b": [0.5, 0.25, 1, 0]}
    together = mean_intervals(columns, classes, BOOTSTRAP)
    assert together == {name: mean_interval(columns[name], classes, BOOTSTRAP) for name in columns}


def test_one_part_gives_the_interval_of_its_mean():
    values, classes = [1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "a", "b"]
    runs = [0, 0, 0, 1, 1, 1]
    part = Part(values, classes, runs)
    assert average_interval([part], BOOTSTRAP) == mean_interval(values, classes, BOOTSTRAP, runs)
    assert average_interval([part], BOOTSTRAP, False) == mean_interval(values, classes, BOOTSTRAP)


@pytest.mark.parametrize("resample_runs", [True, False])
def test_parts_weigh_alike_and_the_number_of_their_questions_does_not_vary_the_mean(resample_runs):
    # Each part is constant: whatever is drawn, the mean of the means is (1 + 0) / 2.
    parts = [Part([1] * 6, list("abcdef"), [0, 1] * 3), Part([0, 0], ["g", "h"], [0, 1])]
    interval = average_interval(parts, BOOTSTRAP, resample_runs)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.5, 0.5)


def test_the_classes_of_parts_are_resampled_apart():
    # Each part has 200 classes, half right: sd of a mean 0.5 / sqrt(200), of the average of two
    # independent ones 0.5 / sqrt(400); 1.96 of it are 0.049.
    names = [str(number) for number in range(200)]
    part = Part([0, 1] * 100, names, [0] * 200)
    interval = average_interval([part, part], BOOTSTRAP)
    assert interval.high - 0.5 == pytest.approx(0.049, abs=0.004)


def test_runs_are_resampled_for_all_parts_together():
    # Run 0 is right on both sides, run 1 wrong: the average is 0, 1/2 or 1, never 1/4.
    parts = [Part([1, 0], ["a", "a"], [0, 1]), Part([1, 0], ["b", "b"], [0, 1])]
    interval = average_interval(parts, Bootstrap(4000, 0.4, 0))
    assert (interval.low, interval.high) == (0.5, 0.5)
    assert average_interval(parts, BOOTSTRAP).low == 0
