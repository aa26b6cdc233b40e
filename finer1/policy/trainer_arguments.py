"""What both stages tell the training loop of transformers: it loops, the project does the rest.

Checkpoints, logs, the data's order and the learning rate are the project's own.
"""

from pathlib import Path
from typing import Any

from finer1.draws import derive_seed
from finer1.model_params import RuntimeParams
from finer1.policy.folder import pick_device


def trainer_arguments(
    runtime: RuntimeParams, stage: str, seed: int, folder: Path
) -> dict[str, Any]:
    """Arguments for TRL's SFTConfig and GRPOConfig; `folder` is scratch."""
    on_gpu = pick_device(runtime.device) == "cuda"
    return {
        "output_dir": str(folder / "trainer"),
        "seed": derive_seed(seed, f"{stage} trainer"),
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "gradient_checkpointing": runtime.gradient_checkpointing,
        # The reentrant form drops the gradient where no input of a layer takes one (LoRA).
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "ddp_find_unused_parameters": False,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
