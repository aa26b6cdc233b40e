"""What stage 1 trains on at each step: order of rows, learning rate, looks at the format."""

import math
from dataclasses import dataclass

from finer1.draws import draw
from finer1.model_params import SftParams
from finer1.policy.schedules import warm_up_cosine


@dataclass(frozen=True)
class SftPlan:
    """Which rows each step trains on, and when to look at the format."""

    num_rows: int
    settings: SftParams
    seed: int

    @property
    def num_steps(self) -> int:
        """Optimizer steps at most."""
        if self.settings.steps is not None:
            return self.settings.steps
        waits = self.settings.min_format_rate > 0
        return self.steps_of(self.settings.max_epochs if waits else self.settings.epochs)

    def steps_of(self, epochs: float) -> int:
        """Optimizer steps of `epochs` passes, rounded up to full batches."""
        return max(1, math.ceil(epochs * self.num_rows / self.settings.batch_size))

    def order(self) -> list[int]:
        """Rows in training order: a pass after the other, each in an order of its own."""
        needed = self.num_steps * self.settings.batch_size
        order: list[int] = []
        while len(order) < needed:
            epoch = str(len(order) // self.num_rows)
            rows = range(self.num_rows)
            order += sorted(rows, key=lambda i: draw(self.seed, "sft order", epoch, str(i)))
        return order[:needed]

    def lr_factor(self, step: int) -> float:
        """Scale of the learning rate: the cosine spans all steps there may be."""
        return warm_up_cosine(step, self.settings.warmup_steps, self.num_steps)

    def check_steps(self) -> set[int]:
        """Steps after which the format rate decides whether training ends."""
        if self.settings.min_format_rate == 0:
            return set()
        settings, extra = self.settings, math.ceil(self.settings.max_epochs - self.settings.epochs)
        return {self.steps_of(settings.epochs + i) for i in range(extra + 1)}

    def format_rows(self) -> list[int]:
        """Rows that the format rate is measured on."""
        rows = range(self.num_rows)
        chosen = sorted(rows, key=lambda i: draw(self.seed, "sft format", str(i)))
        return chosen[: self.settings.format_prompts]


def micro_rows(own: int, micro_batch: int) -> int:
    """Rows that go through the model at once: the largest divisor of a process's share of a batch
    that runtime.micro_batch allows."""
    return max(size for size in range(1, min(own, micro_batch) + 1) if own % size == 0)
