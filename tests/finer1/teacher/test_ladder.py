from collections import Counter

import pytest

from finer1.params import load_params
from finer1.teacher.ladder import advise, rungs
from finer1.teacher.yields import ClassYield


@pytest.fixture
def settings(repository):
    """Four samples at 1.0, two at 0.7, four of another image."""
    return load_params(repository / "params.yaml").cot


def failed(**more):
    return ClassYield(asked=1, samples=6, rejected=Counter(format=4, leak=2), **more)


def test_first_rung_is_that_of_max_attempts(settings):
    found = [(rung.attempts, rung.temperature, rung.image) for rung in rungs(settings)]
    assert found == [(4, 1.0, "same"), (2, 0.7, "same"), (4, 1.0, "other")]


def test_class_with_a_rationale_needs_no_advice(settings):
    assert advise(ClassYield(asked=2, kept=1, samples=9), settings, True) == ""


def test_advice_names_the_most_frequent_reason(settings):
    assert advise(failed(), settings, False).startswith("mostly format: ")


def test_another_image_is_advised_where_one_is_free(settings):
    assert "add a rung of another image to cot.ladder" in advise(failed(), settings, True)
    assert "split.sft_shots" not in advise(failed(), settings, True)


def test_more_images_are_advised_where_none_is_free(settings):
    assert "none is free" in advise(failed(), settings, False)


def test_another_temperature_is_advised_where_one_was_tried(settings):
    alone = settings.model_copy(update={"ladder": ()})
    assert "another temperature" in advise(failed(), alone, False)
    assert "another temperature" not in advise(failed(), settings, False)


def test_language_is_put_right_by_hand(settings):
    assert "(review.mode)" in advise(failed(queued=1), settings, False)


def test_most_samples_cut_off_advises_longer_ones(settings):
    # 4 of 6 are more than half, 3 are not
    assert "raise cot.max_tokens" in advise(failed(cut=4), settings, False)
    assert "raise cot.max_tokens" not in advise(failed(cut=3), settings, False)


def test_length_is_a_matter_of_its_settings(settings):
    count = ClassYield(asked=1, samples=4, rejected=Counter(length=3, format=1))
    assert "look at cot.min_words and cot.max_words" in advise(count, settings, False)


def test_class_that_was_not_asked_needs_a_higher_total(settings):
    assert advise(ClassYield(), settings, True).endswith("raise it")
