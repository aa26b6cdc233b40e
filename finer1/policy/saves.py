"""Which checkpoints a training run keeps, and which one it goes on from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from finer1.policy.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint
from finer1.policy.processes import World


class Progress(Protocol):
    """Where a run stands: a dataclass of JSON values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    step: int
    """Steps done."""


@dataclass(frozen=True)
class Saves:
    """The checkpoints of a run; one of its processes writes."""

    folder: Path
    every: int
    """Steps between them."""
    world: World

    def newest(self) -> Checkpoint | None:
        """Where to go on, the same for all processes: one of them judges which are complete."""
        return self.world.hear_main(newest_checkpoint(self.folder) if self.world.is_main else None)

    def keep(self, model: Any, optimizer: Any, progress: Progress) -> None:
        """After a step: write a checkpoint if it is time."""
        if progress.step % self.every == 0:
            state, is_writer = asdict(progress), self.world.is_main
            save_checkpoint(self.folder, progress.step, model, optimizer, state, is_writer)
