"""Stage 1's training loop as a subclass of TRL's SFTTrainer, in one process or in several.

Several take a share of each batch and average their gradients; the loss is a mean over the
completion tokens of the whole batch, so the number of processes changes nothing but rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback
from trl import SFTTrainer

from finer1 import faults
from finer1.policy.checkpoints import Checkpoint
from finer1.policy.guard import FiniteGuard
from finer1.policy.processes import World
from finer1.policy.resuming import Resuming
from finer1.policy.sharding import collect


@dataclass
class SftProgress:
    """Where a run stands, the same in each of its processes; JSON values only."""

    step: int = 0
    """Optimizer steps done."""
    is_finished: bool = False
    losses: list[float] = field(default_factory=list)
    """Loss of each step, mean over its completion tokens; skipped steps have none."""
    skipped: int = 0
    """Updates skipped for a loss or gradient that is not finite."""
    skipped_in_a_row: int = 0


class OrderedSftTrainer(Resuming, SFTTrainer):
    """Takes rows in a given order, skips what is not finite, reports each optimizer step.

    checkpoint: where to go on, None at the start. after_step: given this trainer and the step's
    metrics; true ends the training. optimizers: optimizer and schedule.
    """

    def __init__(
        self,
        progress: SftProgress,
        checkpoint: Checkpoint | None,
        world: World,
        after_step: Callable[["OrderedSftTrainer", dict[str, float]], bool],
        order: list[int],
        optimizers: tuple[Any, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.given, self.checkpoint = optimizers, checkpoint
        self._order = order
        self._progress = progress
        self._world = world
        self._after_step = after_step
        self._guard = FiniteGuard(progress.skipped, progress.skipped_in_a_row)
        self._loss = self._norm = self._lr = 0.0
        self.remove_callback(PrinterCallback)
        self.add_callback(_AfterStep(self))

    def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
        return self._order

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Gradients of one micro-batch; its share of the step's loss, times the processes."""
        loss = super().training_step(*args, **kwargs)
        self._loss += faults.number("sft:loss", loss.item())
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip the gradients; drop them, in all processes or in none, when not finite."""
        norm = collect(torch.as_tensor(super()._clip_grad_norm(model)))  # DeepSpeed: a float
        self._loss = self._world.add_up({"loss": self._loss})["loss"] / self._world.size
        self._norm, self._lr = float(norm), self.optimizer.param_groups[0]["lr"]
        if not self._guard.admits(self._loss, self._norm):
            model.zero_grad(set_to_none=True)
        return norm

    def finish_step(self) -> bool:
        """After the weights have changed; true when training is to end."""
        progress = self._progress
        progress.step += 1
        metrics = {"train/lr": self._lr}
        if self._guard.in_a_row == 0:  # what is not finite fits neither a log nor a checkpoint
            progress.losses.append(self._loss)
            metrics |= {"train/loss": self._loss, "train/grad_norm": self._norm}
        progress.skipped, progress.skipped_in_a_row = self._guard.skipped, self._guard.in_a_row
        self._loss = 0.0
        return self._after_step(self, metrics)


class _AfterStep(TrainerCallback):
    def __init__(self, trainer: OrderedSftTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the training loop after each optimizer step."""
        control.should_training_stop |= self._trainer.finish_step()
