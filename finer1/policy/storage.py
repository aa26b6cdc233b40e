"""What is kept of a model on disk; planning counts with it, without torch."""

FLOAT32_PARAMETERS = 100_000_000
"""Models up to this size are saved in float32, larger ones in bfloat16."""
NUM_KEPT = 2
"""Checkpoints of a training run, the newest ones."""
ADAPTERS = "adapters"
"""Folder in that of a model that was trained by adapters: the adapters by themselves."""
