"""The memory model against the peak of a process of its own."""

import pytest

from benchmarks.memory import BAR, SETTINGS, measure_apart, predict


def test_at_least_six_configurations_differ_in_what_matters():
    settings = SETTINGS.values()
    assert len(settings) >= 6
    for field in ("stage", "num_parts", "is_checkpointed", "train_vision", "has_optimizer"):
        assert len({getattr(setting, field) for setting in settings}) > 1
    assert len({setting.model.layers for setting in settings}) > 1
    assert len({setting.group.completion_tokens for setting in settings}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tapo", "sft, 4 rows"])
def test_a_measured_peak_is_within_15_percent_of_the_predicted_one(name):
    assert predict(SETTINGS[name]).total == pytest.approx(measure_apart(name), rel=BAR)
