"""Host memory and disk of a run, in bytes."""

from collections.abc import Mapping

from finer1.params import Params
from finer1.planning.activations import FLOAT, HALF
from finer1.planning.architecture import Architecture
from finer1.planning.assumptions import PROCESS_BYTES
from finer1.planning.counts import Counts
from finer1.planning.fit import Machine
from finer1.planning.stage_training import tapo_trained
from finer1.policy.storage import FLOAT32_PARAMETERS, NUM_KEPT

_COPIES = 2
"""DVC keeps an output in its cache and in the folder, where the disk has no reflinks."""
_ENCODED_AT_ONCE = 2
"""Images of a group that are processed while it is sampled: anchor and positive."""


def host_memory(
    params: Params, model: Architecture, counts: Counts, machine: Machine
) -> dict[str, int]:
    """The most that the host holds, by what: in stage 1 or 2, whichever holds more.

    Every process reads the float32 weights; the main one writes checkpoints from copies of weights
    and moments; the processed images of a step wait on the host.
    """
    stages = [_sft_host(params, model, machine)]
    if params.tapo.steps:
        stages.append(_tapo_host(params, model, counts, machine))
    return max(stages, key=lambda parts: sum(parts.values()))


def disk(params: Params, model: Architecture, counts: Counts) -> dict[str, int]:
    """What lies on disk after a run, by what, and the checkpoints while it lasts."""
    size = FLOAT if model.parameters <= FLOAT32_PARAMETERS else HALF
    made = 1 + bool(params.tapo.steps)
    trained = max(model.trained(params.sft.train_vision), tapo_trained(params, model))
    images = sum(item.bytes for item in counts.datasets.values())
    return {
        "base": size * model.parameters,
        "models and their cache": _COPIES * made * size * model.parameters,
        # One more than is kept while the newest is being written.
        "checkpoints": (NUM_KEPT + 1) * 3 * FLOAT * trained,
        "images: download, archive, cache": (1 + _COPIES) * images,
    }


def _sft_host(params: Params, model: Architecture, machine: Machine) -> dict[str, int]:
    return _training_host(model, model.trained(params.sft.train_vision), machine)


def _training_host(model: Architecture, trained: int, machine: Machine) -> dict[str, int]:
    parts = {"processes": machine.gpus * PROCESS_BYTES, "checkpoint": 3 * FLOAT * trained}
    if machine.gpus > 1:
        reading = FLOAT * model.parameters * machine.gpus
        parts["weights being read"] = max(0, reading - parts["checkpoint"])
    return parts


def _tapo_host(
    params: Params, model: Architecture, counts: Counts, machine: Machine
) -> dict[str, int]:
    settings = params.tapo
    groups = settings.prompts_per_step * settings.max_oversample
    pixels = FLOAT * 4 * counts.image.longest * model.tower.patch_values
    parts = _training_host(model, tapo_trained(params, model), machine)
    parts["processed images"] = (_ENCODED_AT_ONCE * groups + settings.prompts_per_step) * pixels
    if params.runtime.engine == "vllm" and params.runtime.vllm.sleep_level == 1:
        parts["weights of vLLM asleep"] = machine.gpus * HALF * model.parameters
    return parts


def parts_text(parts: Mapping[str, int]) -> str:
    """`base 7, checkpoints 120`, in GiB."""
    return ", ".join(f"{name} {size / 2**30:.1f}" for name, size in parts.items())
