"""A run planned as a whole, and the text that `finer1 plan` prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finer1.params import Params
from finer1.planning.architecture import Architecture, find_architecture
from finer1.planning.assumptions import GPUS, RESERVED_SHARE, sentences
from finer1.planning.counts import Counts, count, tapo_epochs
from finer1.planning.fit import Machine, Phase, Strategy, refusals
from finer1.planning.generating import vllm_remark
from finer1.planning.hours import Effort, list_efforts, total_hours
from finer1.planning.phases import list_phases
from finer1.planning.stage_training import sft_refusals
from finer1.planning.stores import disk, host_memory, parts_text

GIB = 2**30


@dataclass(frozen=True)
class Resources:
    """What the user has."""

    gpu: str
    """A kind of assumptions.GPUS."""
    gpus: int
    gpu_memory_gib: float | None
    """Instead of the kind's."""
    strategy: Strategy
    host_memory_gib: float | None
    """None refuses nothing for it."""
    disk_gib: float | None


@dataclass(frozen=True)
class Plan:
    """What a run takes."""

    title: str
    model: Architecture
    source: str
    """Where its sizes are from."""
    counts: Counts
    machine: Machine
    resources: Resources
    phases: list[Phase]
    host: Mapping[str, int]
    disk: Mapping[str, int]
    efforts: list[Effort]
    refused: list[str]
    """A sentence for each thing that does not fit."""
    epochs: float
    """Passes of stage 2 over its prompts."""


def plan_run(title: str, params: Params, base: Path, resources: Resources) -> Plan:
    """Plan a run; base: the folder of paths.base, which needs no weights and may be absent.

    Raises ValueError when sizes of the model or of a dataset are not known.
    """
    gpu = GPUS[resources.gpu]
    memory = resources.gpu_memory_gib or gpu.memory_gib
    room = int(memory * (1 - RESERVED_SHARE) * GIB)
    machine = Machine(resources.gpus, room, resources.strategy)
    model, source = find_architecture(base)
    counts = count(params, base)
    phases = list_phases(params, model, counts, machine)
    host = host_memory(params, model, counts, machine)
    on_disk = disk(params, model, counts)
    refused = refusals(phases, machine) + sft_refusals(params, machine)
    if params.runtime.engine == "vllm":
        longest = counts.prompt.longest + max(counts.rollout.longest, counts.answer.longest)
        remark = vllm_remark(model, params.runtime.vllm.memory_share, room, longest)
        refused += [remark] if remark else []
    refused += _refuse_store("host memory", host, resources.host_memory_gib)
    refused += _refuse_store("disk", on_disk, resources.disk_gib)
    efforts = list_efforts(params, model, counts, machine, gpu)
    epochs = tapo_epochs(params, counts)
    return Plan(
        title,
        model,
        source,
        counts,
        machine,
        resources,
        phases,
        host,
        on_disk,
        efforts,
        refused,
        epochs,
    )


def plan_text(plan: Plan) -> str:
    """The plan as lines of plain text; every figure is computed, none measured."""
    resources = plan.resources
    several = f", both stages with {plan.machine.strategy}" if resources.gpus > 1 else ""
    head = [
        f"plan {plan.title}: {plan.model.name}, {plan.model.parameters / 1e9:.2f} billion "
        f"parameters (sizes from {plan.source})",
        f"{resources.gpus} x {resources.gpu}, {plan.machine.gpu_bytes / GIB:.0f} GiB of each to be "
        f"had{several}; computed, not measured on a GPU",
    ]
    return "\n\n".join(
        "\n".join(part) for part in (head, _memory(plan), _counts(plan), _hours(plan), _assumed())
    )


def _memory(plan: Plan) -> list[str]:
    lines = [f"{'GiB of one GPU':<30}{'total':>7}  of which"]
    for phase in plan.phases:
        mark = "" if phase.total <= plan.machine.gpu_bytes else "  DOES NOT FIT"
        name = f"{phase.stage}, {phase.name}"
        parts = parts_text(phase.parts)
        lines.append(f"  {name:<28}{phase.total / GIB:>7.1f}  {parts}{mark}")
    for name, stored in (("host memory", plan.host), ("disk", plan.disk)):
        total = sum(stored.values()) / GIB
        lines.append(f"  {name:<28}{total:>7.1f}  {parts_text(stored)}")
    return lines


def _counts(plan: Plan) -> list[str]:
    counts = plan.counts
    seen = sum(item.seen for item in counts.datasets.values())
    unseen = sum(item.unseen for item in counts.datasets.values())
    return [
        f"{counts.images:,} images, {seen} seen and {unseen} unseen sub-categories "
        f"({', '.join(counts.datasets)})",
        f"stage 1: at most {counts.sft_rows:,} rows, {counts.sft_steps:,} steps; a row is at most "
        f"{counts.prompt.longest + counts.rationale.longest:,} tokens, {counts.image.longest:,} "
        "of them the image",
        f"stage 2: {counts.tapo_prompts:,} prompts, {plan.epochs:.2f} passes, dropped groups not "
        "counted",
        f"questions: {counts.questions:,} a model",
    ]


def _hours(plan: Plan) -> list[str]:
    lines = [f"{'':<12}{'tokens generated':>18}{'tokens trained on':>19}{'GPU-hours':>11}"]
    for effort in plan.efforts:
        hours = "not ours" if effort.hours is None else f"{effort.hours:,.1f}"
        lines.append(f"  {effort.stage:<10}{effort.generated:>18,}{effort.trained:>19,}{hours:>11}")
    lines.append(f"  {'all':<10}{'':>37}{total_hours(plan.efforts):>11,.1f}")
    return lines


def _assumed() -> list[str]:
    return ["assumed:", *(f"  * {sentence}" for sentence in sentences())]


def _refuse_store(name: str, parts: Mapping[str, int], limit_gib: float | None) -> list[str]:
    total = sum(parts.values()) / GIB
    if limit_gib is None or total <= limit_gib:
        return []
    largest = max(parts, key=lambda part: parts[part])
    return [
        f"{name}: needs {total:.0f} GiB, most of it for {largest}, and {limit_gib:g} GiB can be "
        f"had; give it more, or {_STORE_REMEDIES[name]}"
    ]


_STORE_REMEDIES = {
    "host memory": "lower tapo.prompts_per_step or tapo.max_oversample",
    "disk": "name fewer datasets in download.datasets",
}
