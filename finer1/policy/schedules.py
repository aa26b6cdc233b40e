"""Learning rates as functions of the optimizer step; planning counts with them, without torch."""

import math


def warm_up(step: int, warmup_steps: int) -> float:
    """Linear from near 0 to 1 over the first `warmup_steps` steps, then 1."""
    return min(1.0, (step + 1) / (warmup_steps + 1))


def warm_up_cosine(step: int, warmup_steps: int, num_steps: int) -> float:
    """Linear warm-up, then half a cosine down to 0 at `num_steps`."""
    if step < warmup_steps:
        return warm_up(step, warmup_steps)
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
