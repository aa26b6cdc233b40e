"""What the trainers of both stages take from outside: optimizer, schedule, and where to go on."""

from typing import Any

from finer1.policy.checkpoints import Checkpoint


class Resuming:
    """Before one of TRL's trainers among the bases: its run begins where it is told to.

    The trainer sets what is declared here when it is made.
    """

    given: tuple[Any, Any]
    """Optimizer and schedule. Trainer takes none at its making under FSDP, and under DeepSpeed
    forgets them."""
    checkpoint: Checkpoint | None
    """Where to go on; None at the start."""

    def create_optimizer(self, model: Any = None) -> Any:
        """The optimizer that was given."""
        self.optimizer: Any = self.given[0]
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule that was given."""
        self.lr_scheduler = self.given[1]
        return self.lr_scheduler

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        """Wrap model and optimizer and bring both to the checkpoint."""
        trainer: Any = self
        if self.checkpoint is not None:
            self.checkpoint.load_weights(trainer.model)
        prepared = super()._prepare_for_training(*args, **kwargs)  # type: ignore[misc]
        if self.checkpoint is not None:  # FSDP2 has given the optimizer other parameters
            self.checkpoint.load_moments(trainer.model, self.optimizer)
        return prepared
