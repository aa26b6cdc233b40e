from dataclasses import replace

import pytest

from finer1.analysis.comparing import compare_analyses
from finer1.evaluation.statistics import Bootstrap
from tests.finer1.analysis.analyses import made_up

BOOTSTRAP = Bootstrap(200, 0.95, 0)


def test_differences_are_paired():
    change = compare_analyses(made_up(6, (0.3, 0.5)), made_up(4, (0.1, 0.2)), 100, BOOTSTRAP)
    # Images 4 and 5, those of one sub-category, are right now and were not: 2 of 8; in the last
    # epoch 3 and 4.
    assert change.probe_last.value == change.probe_best_on_test.value == 2 / 8
    assert change.separability.value == 2 / 8
    assert 0 <= change.probe_last.low <= 2 / 8 <= change.probe_last.high <= 1
    # Deltas grow by 0.2 and 0.3: mean 0.25, t = 0.25 / (0.0707 / sqrt(2)) = 5.
    assert change.similarity.value == pytest.approx(0.25)
    assert change.similarity_test.t == pytest.approx(5)
    assert change.similarity_test.permutation_p == 2 / 4


def test_a_model_differs_from_itself_in_nothing():
    same = made_up(5, (0.3, 0.5))
    change = compare_analyses(same, same, 100, BOOTSTRAP)
    assert (change.probe_last.low, change.probe_last.high) == (0, 0)
    assert (change.similarity_test.t, change.similarity_test.permutation_p) == (None, 1)


def test_without_genera_nothing_is_said_about_them():
    without = replace(made_up(5, (0.3, 0.5)), similarity=None)
    change = compare_analyses(made_up(5, (0.3, 0.5)), without, 100, BOOTSTRAP)
    assert (change.similarity, change.similarity_test) == (None, None)


def test_other_images_cannot_be_compared():
    other = replace(made_up(5, (0.3, 0.5)), test_ids=("d/9",) * 8)
    with pytest.raises(ValueError, match="about different images; run the stage analysis again"):
        compare_analyses(made_up(5, (0.3, 0.5)), other, 100, BOOTSTRAP)
