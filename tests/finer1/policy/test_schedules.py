import pytest

from finer1.policy.schedules import warm_up, warm_up_cosine


def test_warm_up_is_linear_then_one():
    # (step + 1) / (4 + 1).
    assert [warm_up(step, 4) for step in range(6)] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    assert warm_up(0, 0) == 1


def test_the_cosine_falls_from_one_to_zero():
    # Ten steps after two of warm-up; half way at step 2 + 5.
    values = [warm_up_cosine(step, 2, 12) for step in (2, 7, 12)]
    assert values == [pytest.approx(1), pytest.approx(0.5), pytest.approx(0)]
