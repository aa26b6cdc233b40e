import pytest

from finer1.tapo.sampling import collect_groups, is_informative, smoothed_rate

DEAD, ALIVE = (0.0, 0.0), (0.0, 1.0)


@pytest.fixture
def collect(settings):
    def run(survives, keep_rate=1.0, **changes):
        """Sample numbered groups of which `survives(number)` do; the sizes asked for."""
        asked, number = [], 0

        def sample(num_groups):
            nonlocal number
            asked.append(num_groups)
            number += num_groups
            return list(range(number - num_groups, number))

        changed = settings.model_copy(update={"prompts_per_step": 4} | changes)
        kept = collect_groups(sample, lambda n: ALIVE if survives(n) else DEAD, keep_rate, changed)
        return kept, asked

    return run


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [((0, 0, 0), False), ((1, 1, 1), False), ((0, 1, 0), True), ((1, 1, 0), True)],
)
def test_only_mixed_groups_are_informative(settings, accuracies, expected):
    assert is_informative(accuracies, settings) == expected


def test_a_full_batch_needs_no_refill(collect):
    kept, asked = collect(lambda n: True)
    assert (kept.groups, kept.num_refills, asked) == ([0, 1, 2, 3], 0, [4])


def test_dropped_groups_are_refilled(collect):
    # 4 asked, 0 and 1 survive: rate (2 + 1) / (4 + 2) = 0.5, so ceil(2 / 0.5) = 4 more.
    kept, asked = collect(lambda n: n not in (2, 3))
    assert asked == [4, 4]
    assert kept.groups == [0, 1, 4, 5]
    assert kept.num_refills == 1
    assert kept.num_survivors == 6


def test_a_low_keep_rate_asks_for_more_at_once(collect):
    # ceil(4 / 0.6) = 7.
    assert collect(lambda n: True, keep_rate=0.6)[1] == [7]


def test_oversampling_is_bounded_by_two_batches(collect):
    assert collect(lambda n: True, keep_rate=0.01)[1] == [8]


def test_the_bound_of_oversampling_is_a_setting(collect):
    assert collect(lambda n: True, keep_rate=0.01, max_oversample=3)[1] == [12]


def test_an_exhausted_cap_trains_on_what_there_is(collect):
    kept, asked = collect(lambda n: n == 1, max_resamples=3)
    assert len(asked) == 1 + 3
    assert kept.groups == [1]
    assert kept.is_exhausted


def test_nothing_survives(collect):
    kept, _ = collect(lambda n: False, max_resamples=2)
    assert kept.groups == []
    assert kept.num_survivors == 0


def test_the_released_code_keeps_a_batch_of_which_nothing_survives(collect):
    kept, _ = collect(lambda n: False, max_resamples=2, keep_when_all_degenerate=True)
    assert kept.groups == [0, 1, 2, 3]
    assert kept.num_survivors == 0


def test_without_refills_exactly_one_batch_is_sampled(collect):
    kept, asked = collect(lambda n: n == 0, keep_rate=0.1, max_resamples=0)
    assert (asked, kept.groups) == ([4], [0])


def test_the_keep_rate_never_reaches_zero_or_one():
    assert smoothed_rate(0, 10) == pytest.approx(1 / 12)
    assert smoothed_rate(10, 10) == pytest.approx(11 / 12)
