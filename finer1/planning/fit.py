"""A phase of a run on a GPU, and whether it fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Strategy = Literal["ddp", "fsdp2", "zero3"]
"""How several processes train (setup/accelerate)."""


@dataclass(frozen=True)
class Machine:
    """What the run is planned for."""

    gpus: int
    gpu_bytes: int
    """Of one GPU, as much of it as can be had."""
    strategy: Strategy

    @property
    def shards(self) -> int:
        """Processes that weights, gradients and moments are spread over."""
        return 1 if self.strategy == "ddp" else self.gpus


@dataclass(frozen=True)
class Phase:
    """A part of a stage and what it holds on one GPU at its fullest moment."""

    stage: str
    name: str
    parts: Mapping[str, int]
    """What -> bytes."""
    gpus: int
    """That work at it, each holding as much."""
    remedies: tuple[str, ...] = ()
    """What would lower it, as phrases of command."""

    @property
    def total(self) -> int:
        """Bytes of one GPU."""
        return sum(self.parts.values())


def refusals(phases: Sequence[Phase], machine: Machine) -> list[str]:
    """A sentence for each phase that does not fit, with what to change."""
    sentences = []
    for phase in phases:
        if phase.total > machine.gpu_bytes:
            largest = max(phase.parts, key=lambda name: phase.parts[name])
            remedies = phase.remedies or ("take a GPU with more memory",)
            sentences.append(
                f"{phase.stage}, {phase.name}: needs {phase.total / 2**30:.0f} GiB of a GPU, most "
                f"of it for {largest}, and {machine.gpu_bytes / 2**30:.0f} GiB can be had; "
                f"{', or '.join(remedies)}"
            )
    return sentences
