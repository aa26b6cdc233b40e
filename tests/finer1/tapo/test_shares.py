from itertools import chain
from types import SimpleNamespace

import pytest

from finer1.policy.processes import World
from finer1.tapo.shares import deal, share_out


@pytest.fixture
def share(settings):
    """Parts of each update, by number of the group, and the idle ones, of one process of several.

    Groups have four rollouts; group i has 10 + i tokens.
    """

    def run(num_groups, rank=0, size=1, micro_batch=4, minibatches=1):
        sizes = {"anchor_rollouts": 2, "positive_rollouts": 2, "minibatches": minibatches}
        groups = [SimpleNamespace(number=i, num_tokens=10 + i) for i in range(num_groups)]
        changed = settings.model_copy(update=sizes)
        shares = share_out(groups, changed, micro_batch, World(rank, size))
        return [
            ([[group.number for group in part] for part in s.parts], s.num_idle, s.num_tokens)
            for s in shares
        ]

    return run


def test_one_process_keeps_the_order(share):
    # 10 + 11 and 12 + 13 + 14 tokens.
    parts = [([[0, 1]], 0, 21), ([[2, 3], [4]], 0, 39)]
    assert share(5, micro_batch=8, minibatches=2) == parts


def test_processes_share_each_update(share):
    # Largest first, forth and back: 4 to 0, 3 and 2 to 1, 1 and 0 to 0. Tokens are those of all.
    assert share(5, rank=0, size=2) == [([[0], [1], [4]], 0, 60)]
    assert share(5, rank=1, size=2) == [([[2], [3], [0]], 1, 60)]


@pytest.mark.parametrize("num_groups", range(8))
def test_all_processes_run_equally_many_parts_and_each_group_counts_once(share, num_groups):
    sizes = {"micro_batch": 8, "minibatches": 2}
    runs = [share(num_groups, rank, size=3, **sizes) for rank in range(3)]
    for (whole, _, _), update in zip(
        share(num_groups, **sizes), zip(*runs, strict=True), strict=True
    ):
        assert len({len(parts) for parts, _, _ in update}) == 1
        counted = [part for parts, idle, _ in update for part in parts[: len(parts) - idle]]
        assert sorted(chain(*counted)) == list(chain(*whole))


def test_an_update_without_groups_has_no_parts_anywhere(share):
    assert share(0, size=2) == [([], 0, 0)]


@pytest.mark.parametrize(
    ("sizes", "hands"),
    [
        ([5, 5, 5], [[0], [1, 2]]),
        # 9 to 0, 8 and 7 to 1, 2 to 0.
        ([2, 9, 7, 8], [[0, 1], [2, 3]]),
        ([], [[], []]),
    ],
)
def test_hands_are_of_nearly_equal_number(sizes, hands):
    assert deal(sizes, 2) == hands
