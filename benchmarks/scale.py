"""What 11,276 species of birds would take, by the formulas of `finer1 plan`.

    python -m benchmarks.scale

The settings are those of fine_r1_7b, with one dataset of as many sub-categories as there are
species of birds, and a teacher of one's own for the rationales. Nothing is run or read.
"""

import math
from pathlib import Path

from finer1.params import Params, check_params, load_values, with_differences
from finer1.planning.architecture import Architecture, find_architecture
from finer1.planning.assumptions import GPUS, OPTIONS_TOKENS, VLLM_SEQUENCES
from finer1.planning.counts import Counts, DatasetSize, count
from finer1.planning.fit import Machine
from finer1.planning.flops import compute_hours, decode_hours, image_flops, row_flops
from finer1.planning.hours import list_efforts
from finer1.planning.stores import disk

SPECIES = 11_276
"""IOC World Bird List, rounded to what the project's scale note says."""
TRAIN, TEST = 30, 30
"""Photographs of each; CUB-200-2011 has as many."""
IMAGE_BYTES = 97_000
"""Mean of CUB-200-2011."""
QUESTIONED = 10
"""Test images of each that are asked about."""
ATTEMPTS = 4
"""Rationales that a teacher writes for one that passes the filters."""
TEACHER_RATIO = 4
"""Parameters of a teacher, Qwen2.5-VL-32B, over those of the 7B."""
GPU = "h200"


def planned(root: Path, gpus: int) -> dict[str, float]:
    """Counts and GPU-hours by name; hours are sums over all GPUs."""
    params = _params(root)
    machine = Machine(gpus, int(GPUS[GPU].memory_gib * 0.95 * 2**30), "fsdp2")
    model, _ = find_architecture(params.paths.base)
    size = _size(params)
    counts = count(params, params.paths.base)
    rows = size.seen * params.split.sft_shots
    counts = Counts(
        **vars(counts)
        | {
            "datasets": {"birds": size},
            "sft_rows": rows,
            "sft_steps": math.ceil(params.sft.epochs * rows / params.sft.batch_size),
            "tapo_prompts": size.seen * params.split.tapo_shots,
            "rationales_asked": rows,
            "questions": 2 * QUESTIONED * SPECIES,
        }
    )
    steps = math.ceil(5 * counts.tapo_prompts / params.tapo.prompts_per_step)
    params = params.model_copy(update={"tapo": params.tapo.model_copy(update={"steps": steps})})
    efforts = {item.stage: item for item in list_efforts(params, model, counts, machine, GPUS[GPU])}
    return {
        "species, seen": size.seen,
        "images": counts.images,
        "GB of images": counts.images * IMAGE_BYTES / 1e9,
        "GiB of disk, as finer1 plan counts it": sum(disk(params, model, counts).values()) / 2**30,
        "rationales asked": ATTEMPTS * rows,
        "tokens of rationales": ATTEMPTS * rows * counts.rationale.mean,
        "GPU-hours of the teacher": _teacher_hours(model, counts, ATTEMPTS * rows),
        "steps of stage 1": counts.sft_steps,
        "tokens of stage 1": efforts["sft"].trained,
        "GPU-hours of stage 1": efforts["sft"].hours or 0.0,
        "steps of stage 2": steps,
        "tokens sampled in stage 2": efforts["tapo"].generated,
        "GPU-hours of stage 2": efforts["tapo"].hours or 0.0,
        "questions of a model": counts.questions,
        "tokens of the answers, three models": efforts["predict"].generated,
        "GPU-hours of predict": efforts["predict"].hours or 0.0,
    }


def _params(root: Path) -> Params:
    values = load_values(root / "params.yaml")
    differences = check_params(values, "params.yaml").experiments
    own: dict[str, object] = {}
    for name in ("fine_r1_3b", "fine_r1_7b"):
        entry = differences[name]
        assert isinstance(entry, dict)
        own |= {key: value for key, value in entry.items() if key != "like"}
    return check_params(with_differences(values, own), "fine_r1_7b")


def _size(params: Params) -> DatasetSize:
    seen = int(params.split.seen_fraction * SPECIES)
    return DatasetSize(
        seen=seen,
        unseen=SPECIES - seen,
        train=TRAIN * SPECIES,
        test=TEST * SPECIES,
        bytes=(TRAIN + TEST) * SPECIES * IMAGE_BYTES,
        rationales=0,
    )


def _teacher_hours(model: Architecture, counts: Counts, asked: int) -> float:
    """Of a teacher in vLLM, `model` a quarter of its size."""
    prompt, tokens, gpu = counts.prompt.mean + OPTIONS_TOKENS, counts.rationale.mean, GPUS[GPU]
    reading = row_flops(model, prompt, 0) + image_flops(model.tower, 4 * counts.image.mean)
    writing = decode_hours(model, gpu, asked, tokens, prompt, VLLM_SEQUENCES, False)
    return TEACHER_RATIO * (compute_hours(asked * reading, gpu) + writing)


def main() -> None:
    """Print the figures."""
    for name, value in planned(Path.cwd(), gpus=8).items():
        print(f"{name:<42}{value:>18,.1f}" if value % 1 else f"{name:<42}{value:>18,.0f}")


if __name__ == "__main__":
    main()
