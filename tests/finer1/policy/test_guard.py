import pytest

from finer1.policy.guard import FiniteGuard

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("loss", "norm"), [(NAN, 1.0), (1.0, INF), (-INF, NAN)])
def test_what_is_not_finite_is_refused_and_counted(loss, norm):
    guard = FiniteGuard()
    assert not guard.admits(loss, norm)
    assert (guard.skipped, guard.in_a_row) == (1, 1)


def test_a_finite_update_ends_the_row():
    guard = FiniteGuard()
    for loss in (NAN, NAN, 1.0, NAN, NAN):
        guard.admits(loss, 1.0)
    assert (guard.skipped, guard.in_a_row) == (4, 2)


def test_three_in_a_row_end_the_run():
    guard = FiniteGuard(skipped=2, in_a_row=2)
    with pytest.raises(RuntimeError, match="3 updates in a row"):
        guard.admits(NAN, 1.0)
