import pytest

from finer1.tapo.progress import TapoProgress
from finer1.tapo.sampling import KeepCounts, Kept, collect_groups, is_informative

DEAD, ALIVE = (0.0, 0.0), (0.0, 1.0)


@pytest.fixture
def collect(settings):
    def run(survives, recent=(0, 0), **changes):
        """Sample numbered groups of which `survives(number)` do; the sizes asked for.

        recent: survivors and groups of earlier steps.
        """
        asked, number = [], 0

        def sample(num_groups):
            nonlocal number
            asked.append(num_groups)
            number += num_groups
            return list(range(number - num_groups, number))

        sizes = {"prompts_per_step": 4, "oversample_margin": 1.0}
        changed = settings.model_copy(update=sizes | changes)
        kept = collect_groups(
            sample, lambda n: ALIVE if survives(n) else DEAD, KeepCounts(*recent), changed
        )
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
    # (5 + 1) / (8 + 2) = 0.6 are expected to survive: ceil(4 / 0.6) = 7.
    assert collect(lambda n: True, recent=(5, 8))[1] == [7]


def test_the_margin_asks_for_some_more(collect):
    # ceil(4 x 1.1) = 5; ten at 1.1 are 11, not the 12 of binary fractions.
    assert collect(lambda n: True, oversample_margin=1.1)[1] == [5]
    assert collect(lambda n: True, prompts_per_step=10, oversample_margin=1.1)[1] == [11]


def test_the_keep_rate_of_a_refill_counts_this_step_too(collect):
    # 8 asked at (7 + 1) / (14 + 2) = 0.5; none survive: 8 / 24, ceil(4 x 3) = 12 more.
    kept, asked = collect(lambda n: n >= 8, recent=(7, 14), max_oversample=4)
    assert asked == [8, 12]
    assert kept.groups == [8, 9, 10, 11]
    assert kept.num_survivors == 12


def test_oversampling_is_bounded_by_two_batches(collect):
    assert collect(lambda n: True, recent=(0, 98))[1] == [8]


def test_the_bound_of_oversampling_is_a_setting(collect):
    assert collect(lambda n: True, recent=(0, 98), max_oversample=3)[1] == [12]


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
    kept, asked = collect(lambda n: n == 0, recent=(0, 8), max_resamples=0)
    assert (asked, kept.groups) == ([4], [0])


def test_the_keep_rate_never_reaches_zero_and_is_one_at_first():
    assert KeepCounts(0, 10).keep_rate == pytest.approx(1 / 12)
    assert KeepCounts(10, 10).keep_rate == pytest.approx(11 / 12)
    assert KeepCounts().keep_rate == 1.0


def test_older_steps_count_for_less():
    progress = TapoProgress()
    progress.count(Kept([], [0] * 8, 4, 0, False), decay=0.5)
    progress.count(Kept([], [0] * 10, 2, 0, False), decay=0.5)
    # 0.5 x 4 + 2 of 0.5 x 8 + 10; all of them in the count of the run.
    assert progress.recent == KeepCounts(4, 14)
    assert progress.survivors == 6
    assert progress.step == 2


def test_without_dynamic_sampling_every_group_is_trained_on(collect, settings):
    # None is mixed and the keep rate of earlier steps is low: four asked, four kept all the same.
    kept, asked = collect(lambda n: False, recent=(0, 100), dynamic_sampling=False)
    assert (kept.groups, kept.num_survivors, asked) == ([0, 1, 2, 3], 4, [4])
    assert not kept.is_exhausted
    assert is_informative((1, 1), settings.model_copy(update={"dynamic_sampling": False}))
