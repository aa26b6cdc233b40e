"""The processes that train together, as each of them sees the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.distributed as dist
from accelerate import PartialState

from finer1.policy.folder import pick_device

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of a run, seen by one of them."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """True in the one process that writes and logs."""
        return self.rank == 0

    def gather(self, values: list[T]) -> list[T]:
        """The values of all processes, rank after rank, equal in all of them."""
        if self.size == 1:
            return values
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, values)
        return [value for part in parts for value in part]

    def add_up(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sums over all processes, added in the order of ranks, so that all get the same."""
        sums = dict.fromkeys(values, 0.0)
        for part in self.gather([dict(values)]):
            for name, value in part.items():
                sums[name] += value
        return sums

    def hear_main(self, value: T) -> T:
        """The main process's value."""
        return self.gather([value])[0]


ALONE = World()


def join_world(device: str) -> World:
    """Join the processes that torchrun or accelerate started; a process of its own joins none.

    Settles which GPU is this process's own, so it comes before the model is read.
    """
    state = PartialState(cpu=pick_device(device) == "cpu")
    return World(state.process_index, state.num_processes)
