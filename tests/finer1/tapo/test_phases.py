"""The clock on a time that tests set by hand."""

import pytest
import torch

from finer1.tapo.phases import PhaseClock, phase_metrics


class Hand:
    """A time that moves only when told."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds

    def move(self, seconds):
        self.seconds += seconds


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def clock(hand):
    return PhaseClock(torch.device("cpu"), hand)


def test_a_phase_gets_the_time_inside_it_and_other_the_rest(clock, hand):
    hand.move(1)
    with clock.phase("backward"):
        hand.move(2)
    hand.move(4)
    with clock.phase("backward"):
        hand.move(8)
    assert clock.lap() == {"other": 5, "backward": 10}


def test_a_phase_inside_another_is_not_counted_twice(clock, hand):
    with clock.phase("generate"):
        hand.move(1)
        with clock.phase("reward"):
            hand.move(2)
        hand.move(4)
    assert clock.lap() == {"other": 0, "generate": 5, "reward": 2}


def test_a_lap_begins_anew(clock, hand):
    with clock.phase("anchor"):
        hand.move(1)
    clock.lap()
    hand.move(2)
    assert clock.lap() == {"other": 2}


def test_a_phase_that_fails_is_over(clock, hand):
    with pytest.raises(TypeError), clock.phase("anchor"):
        hand.move("no number")
    hand.move(2)
    assert clock.lap() == {"other": 2, "anchor": 0}


def test_a_gpu_is_waited_for_before_the_time_is_read(hand, monkeypatch):
    # The kernels of a phase end when the device is waited for, not when they are launched.
    pending = [0.0]

    def wait(device):
        hand.move(pending.pop() if pending else 0.0)

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    clock = PhaseClock(torch.device("cuda"), hand)
    clock.lap()
    with clock.phase("anchor"):
        pending.append(3.0)
    with clock.phase("backward"):
        pending.append(5.0)
    assert clock.lap() == {"other": 0, "anchor": 3, "backward": 5}


def test_speeds_are_tokens_over_the_time_of_their_phases():
    seconds = {"generate": 4.0, "reward": 1.0, "anchor": 1.0, "backward": 2.0, "optimizer": 1.0}
    metrics = phase_metrics({**seconds, "other": 1.0}, sampled_tokens=200, trained_tokens=80)
    assert metrics["speed/generate_tokens_per_s"] == 50  # 200 / 4
    assert metrics["speed/update_tokens_per_s"] == 20  # 80 / (1 + 2 + 1)
    assert metrics["speed/tokens_per_s"] == 20  # 200 / 10
    assert metrics["time/step_s"] == 10
    assert metrics["time/generate_s"] == 4


def test_a_step_without_update_has_no_speed_of_it():
    metrics = phase_metrics({"generate": 4.0, "other": 0.0}, sampled_tokens=200, trained_tokens=0)
    assert "speed/update_tokens_per_s" not in metrics
