"""One update, TRL's way and ours, on one CPU thread: equality, then seconds, memory, FLOPs.

    python -m benchmarks.update

Prints markdown. Exit code 1 when a side does not compute B0's update; then no ratio is printed.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.measure import Account, examine, fastest, time_ratio, time_updates
from benchmarks.replay import Replay, draw_group
from benchmarks.shapes import TINY, TRIAL, GroupShape, ModelShape, build_model
from benchmarks.sides import B0, B1, B2, OURS, OURS_UNCHECKPOINTED, build_part, split_peer
from benchmarks.tables import UPDATE_COLUMNS, describe_machine, markdown_table, update_rows

SEED = 0
B0_SPLIT = "B0, own best micro-batch"
"""B0 with as many rollouts at once as suit it best ..."""
SPLITS = (1, 2, 5)
"""... of these numbers, all of which are fewer than a group."""


@dataclass(frozen=True)
class Bar:
    """What ours must reach against B0 on a group."""

    speed: float
    memory: float | None = None


@dataclass(frozen=True)
class Case:
    """A group, the sides that are run on it, and how often each is timed."""

    group: GroupShape
    sides: tuple[str, ...]
    repeats: int
    is_checkpointed: bool = False
    bar: Bar | None = None

    @property
    def name(self) -> str:
        """For tables."""
        return self.group.name + (", checkpointing" if self.is_checkpointed else "")


_BOTH = (B0, OURS)
_SMALL, _LARGE = ((32, 32), (28, 36)), ((40, 64), (46, 56))
GRID = (
    Case(GroupShape(44, *_SMALL, 100, 10), (B0, B0_SPLIT, B1, B2, OURS), 3, bar=Bar(4.2, 4.5)),
    Case(GroupShape(44, *_LARGE, 200, 10), (B0, B0_SPLIT, OURS), 3, bar=Bar(4.9, 4.9)),
    Case(GroupShape(44, *_SMALL, 100, 4), _BOTH, 3),
    Case(GroupShape(44, *_SMALL, 100, 1), _BOTH, 9, bar=Bar(0.95)),
    Case(GroupShape(44, *_LARGE, 200, 1), _BOTH, 5, bar=Bar(0.95)),
    Case(GroupShape(44, (16, 16), (12, 20), 200, 10), _BOTH, 3),
    Case(GroupShape(44, (8, 8), (8, 6), 300, 10), _BOTH, 3),
    Case(
        GroupShape(44, *_SMALL, 100, 10),
        (B0, OURS, OURS_UNCHECKPOINTED),
        2,
        is_checkpointed=True,
    ),
)
TINY_GRID = (
    Case(GroupShape(12, (8, 8), (6, 8), 10, 4), (B0, B0_SPLIT, B1, B2, OURS), 1),
    Case(GroupShape(12, (8, 8), (6, 8), 10, 1), _BOTH, 1),
    Case(GroupShape(12, (4, 4), (4, 6), 20, 4), (B0, OURS, OURS_UNCHECKPOINTED), 1, True),
)
"""For the smoke test: its times mean nothing."""


@dataclass(frozen=True)
class Result:
    """A case and its sides, B0 first."""

    case: Case
    replay: Replay
    old: torch.Tensor
    """[R, T], log-probabilities of the behavior policy."""
    accounts: list[Account]

    def account(self, name: str) -> Account:
        """That of the side of this name."""
        return next(account for account in self.accounts if account.side.name == name)

    @property
    def is_exact(self) -> bool:
        """True when all sides compute one and the same update."""
        return all(account.is_exact for account in self.accounts)

    def verdict(self) -> str | None:
        """One sentence on the bar; None without one."""
        bar = self.case.bar
        if bar is None:
            return None
        base, ours = self.account(B0), self.account(OURS)
        speed = time_ratio(base.seconds, ours.seconds).median
        memory = base.saved_bytes / ours.saved_bytes
        told = [f"{_held(speed, bar.speed)}: {speed:.2f}x as fast, bar {bar.speed}"]
        if bar.memory is not None:
            held = _held(memory, bar.memory)
            told.append(f"{held}: {memory:.2f}x smaller for the backward, bar {bar.memory}")
        return f"{self.case.name}: " + "; ".join(told)


def compare(model: Any, case: Case) -> Result:
    """The case's sides, examined and not timed yet."""
    replay = draw_group(model, case.group, SEED)
    part = build_part(model, replay, case.is_checkpointed)
    old = part.score_anchor(OURS) + replay.old_noise
    sides = dict(part.sides)
    if B0_SPLIT in case.sides:
        splits = [
            split_peer(model, replay, size, f"{B0_SPLIT}: {size}", case.is_checkpointed)
            for size in SPLITS
        ]
        sides[B0_SPLIT] = fastest(model, replay, splits, old)
    accounts = examine(model, replay, [sides[name] for name in case.sides], old)
    return Result(case, replay, old, accounts)


def report(model: Any, results: Sequence[Result]) -> str:
    """The whole result as markdown."""
    others = [account for result in results for account in result.accounts[1:]]
    lines = [
        describe_machine() + f", weights and groups of seed {SEED}.",
        "",
        "Equality with B0, float32, worst of all groups and sides: log-probabilities "
        f"{max(account.logprob_error for account in others):.1e} absolute, gradients "
        f"{max(account.gradient_error for account in others):.1e} relative L2.",
        "",
    ]
    wrong = [result.case.name for result in results if not result.is_exact]
    if wrong:
        return "\n".join([*lines, f"NOT EQUAL, so nothing was timed: {'; '.join(wrong)}."])
    rows = [
        row for result in results for row in update_rows(model, result.case.name, result.accounts)
    ]
    verdicts = [verdict for result in results if (verdict := result.verdict()) is not None]
    return "\n".join(
        [*lines, markdown_table(UPDATE_COLUMNS, rows), "", *(f"- {v}" for v in verdicts)]
    )


def run(shape: ModelShape, grid: Sequence[Case]) -> tuple[Any, list[Result]]:
    """The model and all cases; nothing is timed unless all sides of all cases are equal."""
    torch.set_num_threads(1)
    model = build_model(shape, SEED, "cpu", torch.float32)
    results = []
    for case in grid:
        print(f"{case.name}: {', '.join(case.sides)}", file=sys.stderr, flush=True)
        results.append(compare(model, case))
    if all(result.is_exact for result in results):
        for result in results:
            print(f"{result.case.name}: time", file=sys.stderr, flush=True)
            repeats = result.case.repeats
            time_updates(model, result.replay, result.accounts, result.old, repeats)
    return model, results


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tiny", action="store_true", help="toy sizes, for a smoke test")
    tiny = parser.parse_args(arguments).tiny
    model, results = run(TINY, TINY_GRID) if tiny else run(TRIAL, GRID)
    print(report(model, results))
    return 0 if all(result.is_exact for result in results) else 1


def _held(value: float, bar: float) -> str:
    return "holds" if value >= bar else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
