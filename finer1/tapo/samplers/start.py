"""The engine of rollouts that the settings name."""

from pathlib import Path
from typing import Any, assert_never

from finer1.model_params import RuntimeParams
from finer1.policy.folder import pick_device
from finer1.policy.processes import World
from finer1.tapo.samplers.interface import RolloutEngine
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.samplers.served import ServedEngine, SharedModel


def start_engine(
    model: Any,
    processor: Any,
    start: Path,
    system: str,
    runtime: RuntimeParams,
    server: str | None,
    scratch: Path,
    world: World,
) -> RolloutEngine:
    """The engine `runtime.engine`.

    start: model folder of the policy's first weights. server: address of the vLLM server, if
    any. scratch: folder for weights on their way to it.
    Raises ValueError when the engine cannot run here.
    """
    match runtime.engine:
        case "transformers":
            return LocalEngine(model, processor.tokenizer.pad_token_id, runtime.batch_size)
        case "vllm":
            if runtime.vllm.tensor_parallel > 1:
                raise ValueError(
                    f"runtime.vllm.tensor_parallel is {runtime.vllm.tensor_parallel}, but each "
                    "training process samples with a vLLM of its own: set it to 1, or runtime."
                    "engine to vllm_server and start that with --tensor-parallel-size"
                )
            from finer1.serving.colocated import ColocatedModel

            colocated = ColocatedModel(start, pick_device(runtime.device), runtime.vllm)
            return ServedEngine(colocated, system)
        case "vllm_server":
            from finer1.serving.server import ServerModel

            remote = ServerModel(server, scratch / "weights", runtime.vllm.sleep_level)
            return ServedEngine(SharedModel(remote, world), system)
    assert_never(runtime.engine)
