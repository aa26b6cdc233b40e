"""What is not finite never reaches the weights."""

import math
from dataclasses import dataclass

MAX_IN_A_ROW = 3
"""Skipped updates in a row after which a run is given up."""


@dataclass
class FiniteGuard:
    """Judges updates and counts those that are to be skipped."""

    skipped: int = 0
    """Over the run."""
    in_a_row: int = 0

    def admits(self, loss: float, grad_norm: float) -> bool:
        """True when both are finite; RuntimeError when too many in a row were not."""
        if math.isfinite(loss) and math.isfinite(grad_norm):
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= MAX_IN_A_ROW:
            raise RuntimeError(
                f"loss or gradient was not finite in {self.in_a_row} updates in a row (last loss "
                f"{loss}, gradient norm {grad_norm}); lower the learning rate"
            )
        return False
