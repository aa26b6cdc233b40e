"""Generation split over processes, as runtime.shards asks for.

Environment, optional: RAY_ADDRESS (of a Ray cluster; without it the stage starts one of its own,
on loopback, and joins no other).
"""

import os
from pathlib import Path

from finer1.engines.interface import Shards
from finer1.model_params import RuntimeParams

_LIBRARIES = ("HF_", "OMP_", "RAY_USAGE_", "TOKENIZERS_", "VLLM_")
"""How variables begin that tasks/stage.py settles libraries by."""


def engine_shards(runtime: RuntimeParams, engine: str, tensor_parallel: int) -> Shards | None:
    """How an engine is split; None where it is not.

    engine: its name. tensor_parallel: GPUs of each, if it is vLLM.
    """
    if runtime.shards == 1:
        return None
    environ = {key: value for key, value in os.environ.items() if key.startswith(_LIBRARIES)}
    # Each process imports the project from where this one does.
    environ["PYTHONPATH"] = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    gpus = tensor_parallel if engine.partition(":")[0] == "vllm" else 1
    return Shards(runtime.shards, gpus, os.environ.get("RAY_ADDRESS") or None, environ)
