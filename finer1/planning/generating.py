"""The phases that generate text on a GPU: rollouts, answers, a teacher's texts."""

from pathlib import Path

from finer1.params import Params
from finer1.planning.activations import FLOAT, HALF
from finer1.planning.architecture import Architecture, find_architecture
from finer1.planning.counts import Counts, Tokens, closed_prompt
from finer1.planning.fit import Machine, Phase
from finer1.planning.flops import kv_bytes
from finer1.planning.training import Method, trained_parameters

_WORD_BYTES = 28
"""Of a word of the vocabulary while a token is drawn: logits, probabilities, sorted ones, their
places (8 bytes), sums, a nucleus (finer1/policy/generation.py)."""
_CACHE_BYTES = FLOAT + HALF
"""Of a key and a value under autocast: the rotary embedding makes keys float32."""
_VLLM_ROOM = 1.2
"""What vLLM needs for a model, over its bfloat16 weights, before it has any cache."""


def rollout_phase(
    params: Params,
    model: Architecture,
    counts: Counts,
    method: Method,
    machine: Machine,
    remedies: tuple[str, ...],
) -> Phase:
    """Sampling in stage 2, beside the weights and moments of the training."""
    trained = trained_parameters(model, method)
    weights = FLOAT * (model.parameters + method.adapters) // method.shards
    parts = {"weights": weights, "moments": 2 * FLOAT * trained // method.shards}
    if machine.shards > 1:  # while a step samples each process holds all weights (run_whole)
        parts["gathered weights"] = HALF * model.parameters
    if params.runtime.engine == "vllm":
        share = params.runtime.vllm.memory_share
        parts["vLLM"] = int(share * machine.gpu_bytes)
        lower: tuple[str, ...] = (f"set runtime.vllm.memory_share below {share:g}",)
    elif params.runtime.engine == "vllm_server":
        lower = ()
    else:
        if machine.shards == 1:  # autocast keeps copies while tokens are generated
            parts["bfloat16 weights"] = HALF * model.parameters
        room = _sampling(model, counts.prompt.longest, counts.rollout, params.runtime.batch_size)
        room["cache"] = room["cache"] * _CACHE_BYTES // (2 * HALF)
        parts |= room
        lower = (f"set runtime.batch_size below {params.runtime.batch_size}",)
    return Phase("tapo", "rollouts", parts, machine.gpus, (*lower, *remedies))


def predict_phase(params: Params, model: Architecture, counts: Counts, machine: Machine) -> Phase:
    """Answering the questions: one model, bfloat16."""
    at_once = params.runtime.batch_size
    if params.runtime.engine == "vllm":
        share = params.runtime.vllm.memory_share
        gpus = params.runtime.shards * params.runtime.vllm.tensor_parallel
        return Phase("predict", "answers", {"vLLM": int(share * machine.gpu_bytes)}, gpus)
    if params.runtime.engine == "vllm_server":
        return Phase("predict", "answers", {}, 0)
    parts = {"weights": HALF * model.parameters}
    parts |= _sampling(model, closed_prompt(counts), counts.answer, at_once)
    lower = f"set runtime.batch_size below {at_once}"
    return Phase("predict", "answers", parts, params.runtime.shards, (lower,))


def teacher_phase(
    stage: str, engine: str, params: Params, counts: Counts, machine: Machine
) -> Phase | None:
    """A teacher in the stage's process; None where it is a server's or has no weights.

    Raises ValueError for a model of transformers whose sizes are not known.
    """
    kind, _, name = engine.partition(":")
    settings = params.runtime.teacher
    if kind == "vllm":
        share = {"vLLM": int(settings.memory_share * machine.gpu_bytes)}
        return Phase(stage, "teacher", share, settings.tensor_parallel)
    if kind != "transformers":
        return None
    model, _ = find_architecture(Path(name))
    length = params.concepts.max_tokens if stage == "concepts" else params.cot.max_tokens
    parts = {"weights": HALF * model.parameters}
    parts |= _sampling(
        model, counts.prompt.longest, Tokens(length, length), params.runtime.batch_size
    )
    lower = f"set runtime.batch_size below {params.runtime.batch_size}"
    return Phase(stage, "teacher", parts, 1, (lower, f"name a smaller teacher in {stage}.engine"))


def vllm_slots(model: Architecture, share: float, gpu_bytes: int, tokens: int) -> int:
    """Sequences of `tokens` that vLLM's cache holds; below 1 it cannot start."""
    room = share * gpu_bytes - _VLLM_ROOM * HALF * model.parameters
    return max(0, int(room / (kv_bytes(model) * tokens)))


def vllm_remark(model: Architecture, share: float, gpu_bytes: int, tokens: int) -> str | None:
    """Why vLLM cannot start with its share of the memory; None when it can."""
    if vllm_slots(model, share, gpu_bytes, tokens) >= 1:
        return None
    least = (_VLLM_ROOM * HALF * model.parameters + kv_bytes(model) * tokens) / gpu_bytes
    return (
        f"vLLM: runtime.vllm.memory_share {share:g} has no room for the weights and one sequence "
        f"of {tokens} tokens; set it to {least + 0.01:.2f} or more"
    )


def _sampling(model: Architecture, prompt: int, completion: Tokens, at_once: int) -> dict[str, int]:
    """Cache and logits of `at_once` sequences in transformers, whose cache of a layer is there
    twice while it grows."""
    tokens = prompt + completion.longest
    cache = at_once * tokens * kv_bytes(model)
    logits = at_once * model.decoder.vocabulary * _WORD_BYTES
    return {"cache": cache + cache // model.decoder.layers, "logits": logits}
