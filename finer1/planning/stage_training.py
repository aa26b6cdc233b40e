"""The phases in which the two stages train on a GPU, each at its fullest moment."""

import math
from dataclasses import replace

from finer1.params import Params
from finer1.planning.activations import Completions, Forward, packed_forward, plain_forward
from finer1.planning.architecture import Architecture
from finer1.planning.counts import Counts
from finer1.planning.fit import Machine, Phase
from finer1.planning.generating import rollout_phase
from finer1.planning.training import Method, Peak, backward_peak, optimizer_peak
from finer1.sft_plan import micro_rows


def sft_phases(
    params: Params, model: Architecture, counts: Counts, machine: Machine
) -> list[Phase]:
    """Stage 1: backward and optimizer; none where it keeps the base's weights."""
    if params.sft.steps == 0:
        return []
    rows = sft_rows(params, machine)
    method = replace(
        _method(params, 0, params.sft.train_vision, machine),
        accumulates=_own_sft_rows(params, machine) > rows,
    )
    row = counts.prompt.longest + counts.rationale.longest
    forward = plain_forward(
        model.decoder, rows, row, counts.rationale.longest, 4 * counts.image.longest
    )
    remedies = [_more_gpus(machine)]
    if params.sft.train_vision:
        remedies.append("set sft.train_vision to false")
    return _training_phases("sft", params, model, forward, method, machine, tuple(remedies))


def sft_refusals(params: Params, machine: Machine) -> list[str]:
    """A sentence where the processes of stage 1 cannot have equally many rows of a batch."""
    batch = params.sft.batch_size
    if params.sft.steps == 0 or batch % machine.gpus == 0:
        return []
    return [
        f"sft: sft.batch_size ({batch}) is no multiple of {machine.gpus} processes; take another "
        "number of GPUs"
    ]


def sft_rows(params: Params, machine: Machine) -> int:
    """Rows of a micro-batch of stage 1."""
    return micro_rows(_own_sft_rows(params, machine), params.runtime.micro_batch)


def _own_sft_rows(params: Params, machine: Machine) -> int:
    return math.ceil(params.sft.batch_size / machine.gpus)


def _more_gpus(machine: Machine) -> str:
    is_spread = machine.shards > 1
    return "take more GPUs" if is_spread else "take --gpus 2 or more with --strategy fsdp2"


def tapo_phases(
    params: Params, model: Architecture, counts: Counts, machine: Machine
) -> list[Phase]:
    """Stage 2: rollouts, update, optimizer; none where its weights are those of stage 1."""
    settings = params.tapo
    if settings.steps == 0:
        return []
    adapters = _adapters(params, model)
    shape = update_shape(params, counts)
    own = math.ceil(settings.prompts_per_step / settings.minibatches / machine.gpus)
    method = replace(
        _method(params, adapters, settings.train_vision, machine), accumulates=own > shape.groups
    )
    if params.runtime.forward == "packed":
        forward = packed_forward(model.decoder, shape)
    else:
        forward = _repeated(model, shape)
    remedies = [_more_gpus(machine)]
    if not adapters:
        remedies.append("set tapo.lora_rank to 16")
    if settings.train_vision:
        remedies.append("set tapo.train_vision to false")
    rollouts = rollout_phase(params, model, counts, method, machine, tuple(remedies))
    if is_awake(params):
        remedies.append("set runtime.vllm.sleep_level to 1")
    training = _training_phases("tapo", params, model, forward, method, machine, tuple(remedies))
    if is_awake(params):
        share = int(params.runtime.vllm.memory_share * machine.gpu_bytes)
        training = [replace(phase, parts={**phase.parts, "vLLM": share}) for phase in training]
    return [rollouts, *training]


def is_awake(params: Params) -> bool:
    """Whether vLLM keeps its share of the GPU while the policy is trained."""
    return params.runtime.engine == "vllm" and params.runtime.vllm.sleep_level == 0


def tapo_trained(params: Params, model: Architecture) -> int:
    """Parameters that stage 2 trains."""
    return _adapters(params, model) or model.trained(params.tapo.train_vision)


def _adapters(params: Params, model: Architecture) -> int:
    settings = params.tapo
    if not settings.lora_rank:
        return 0
    return model.adapters(settings.lora_rank, settings.lora_targets, settings.train_vision)


def group_size(params: Params) -> int:
    """Rollouts of a prompt (n1 + n2)."""
    return params.tapo.anchor_rollouts + params.tapo.positive_rollouts


def groups_at_once(params: Params) -> int:
    """Groups of a micro-batch; one at least, whatever runtime.micro_batch says."""
    return max(1, params.runtime.micro_batch // group_size(params))


def update_shape(params: Params, counts: Counts) -> Completions:
    """One micro-batch of stage 2 at its longest."""
    settings = params.tapo
    has_negative = settings.negative_gradient and (
        settings.inter_class_coef > 0 or settings.negative_entropy_coef > 0
    )
    return Completions(
        groups=groups_at_once(params),
        prompt_tokens=counts.prompt.longest,
        rollouts=group_size(params),
        completion_tokens=counts.rollout.longest,
        conditions=2 if has_negative else 1,
        patches=4 * counts.image.longest,
    )


def _method(params: Params, adapters: int, train_vision: bool, machine: Machine) -> Method:
    return Method(
        adapters=adapters,
        train_vision=train_vision,
        is_checkpointed=params.runtime.gradient_checkpointing,
        mixed=True,
        on_gpu=True,
        accumulates=False,
        has_moments=True,
        shards=machine.shards,
        bucket_copies=int(machine.gpus > 1 and machine.strategy == "ddp"),
    )


def _training_phases(
    stage: str,
    params: Params,
    model: Architecture,
    forward: Forward,
    method: Method,
    machine: Machine,
    remedies: tuple[str, ...],
) -> list[Phase]:
    """Backward and optimizer; the first can also be made smaller by what it keeps."""
    lower = []
    if not method.is_checkpointed:
        lower.append("set runtime.gradient_checkpointing to true")
    if stage == "sft" and (rows := sft_rows(params, machine)) > 1:
        lower.append(f"set runtime.micro_batch to {rows // 2}")
    if stage == "tapo" and groups_at_once(params) > 1:
        lower.append(f"set runtime.micro_batch to {group_size(params)}")
    peaks = {
        "forward and backward": (backward_peak(model, forward, method), (*lower, *remedies)),
        "optimizer": (optimizer_peak(model, method), remedies),
    }
    return [
        Phase(stage, name, _parts(peak), machine.gpus, advice)
        for name, (peak, advice) in peaks.items()
    ]


def _parts(peak: Peak) -> dict[str, int]:
    return {
        "weights": peak.weights,
        "gradients": peak.gradients,
        "moments": peak.moments,
        "activations": peak.activations,
        "work": peak.work,
    }


def _repeated(model: Architecture, shape: Completions) -> Forward:
    """Each completion with a copy of its prompt and image, under one condition after the other."""
    row = shape.prompt_tokens + shape.completion_tokens
    rows = shape.groups * shape.rollouts * shape.conditions
    return plain_forward(model.decoder, rows, row, shape.completion_tokens, shape.patches)
