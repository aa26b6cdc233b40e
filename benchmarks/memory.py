"""The memory model of `finer1 plan` against peaks measured on a CPU.

    python -m benchmarks.memory [NAME...]

Each configuration is a Qwen2.5-VL with random float32 weights in a fresh process: two training
steps with the project's AdamW, through stage 1's forward or stage 2's. Measured is the largest
resident memory less that before the model is made, after a toy model has been through the same, so
that libraries are loaded. Prints markdown. Exit code 1 when a prediction is off by more than BAR.
"""

import argparse
import resource
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.counting import MIB
from benchmarks.objective import update_loss
from benchmarks.peer import peer_rows
from benchmarks.replay import Replay, draw_group
from benchmarks.shapes import TINY, TRIAL, GroupShape, ModelShape, build_model
from benchmarks.tables import describe_machine, markdown_table
from finer1.planning.activations import Completions, Forward, packed_forward, plain_forward
from finer1.planning.architecture import Architecture, Decoder, Tower
from finer1.planning.training import Method, Peak, backward_peak, optimizer_peak

BAR = 0.15
"""Largest difference of prediction and measurement, as a share of the latter."""
_MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "0",
}
"""glibc gives what is freed back to the system at once: what is held is then what is resident."""


@dataclass(frozen=True)
class Setting:
    """One configuration."""

    model: ModelShape
    group: GroupShape
    """Stage 1 takes its rollouts as rows of their own."""
    stage: str
    """sft or tapo."""
    num_parts: int = 1
    """Micro-batches of an update."""
    is_checkpointed: bool = False
    train_vision: bool = True
    has_optimizer: bool = True


_WIDE = replace(TRIAL, hidden=512, intermediate=1408, heads=16, kv_heads=4, vocabulary=8192)
_DEEP = replace(_WIDE, layers=12)
_WORDS = replace(TRIAL, vocabulary=65536)
_SHORT = GroupShape(60, (20, 24), (24, 20), 100, 4)
_LONG = GroupShape(60, (20, 24), (24, 20), 300, 8)
_IMAGES = GroupShape(60, (48, 48), (48, 40), 60, 4)

SETTINGS = {
    "tapo": Setting(_WIDE, _SHORT, "tapo"),
    "tapo, long completions": Setting(_WIDE, _LONG, "tapo"),
    "tapo, long completions, checkpointing": Setting(_WIDE, _LONG, "tapo", is_checkpointed=True),
    "tapo, large images": Setting(_WIDE, _IMAGES, "tapo"),
    "tapo, large images, tower frozen": Setting(_WIDE, _IMAGES, "tapo", train_vision=False),
    "tapo, two micro-batches": Setting(_DEEP, _SHORT, "tapo", num_parts=2),
    "tapo, 65,536 words": Setting(_WORDS, _SHORT, "tapo"),
    "tapo, no optimizer": Setting(_DEEP, _SHORT, "tapo", has_optimizer=False),
    "sft, 4 rows": Setting(_WIDE, _SHORT, "sft"),
    "sft, 8 rows": Setting(_WIDE, replace(_SHORT, rollouts=8), "sft"),
    "sft, 8 rows, checkpointing": Setting(
        _WIDE, replace(_SHORT, rollouts=8), "sft", is_checkpointed=True
    ),
    "sft, two micro-batches": Setting(_DEEP, _SHORT, "sft", num_parts=2),
}


def architecture(shape: ModelShape) -> Architecture:
    """The shape as `finer1 plan` knows it."""
    decoder = Decoder(
        hidden=shape.hidden,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        intermediate=shape.intermediate,
        vocabulary=shape.vocabulary,
        is_tied=True,
    )
    tower = Tower(
        hidden=shape.vision_hidden,
        depth=shape.vision_depth,
        heads=shape.vision_heads,
        intermediate=shape.vision_intermediate,
        out=shape.hidden,
        patch=shape.patch,
        is_gated=True,
        full_blocks=len(shape.full_attention),
        window=shape.window // shape.patch,
    )
    return Architecture("benchmark", decoder, tower)


def predict(setting: Setting) -> Peak:
    """The peak by the memory model."""
    model = architecture(setting.model)
    method = Method(
        adapters=0,
        train_vision=setting.train_vision,
        is_checkpointed=setting.is_checkpointed,
        mixed=False,
        on_gpu=False,
        accumulates=setting.num_parts > 1,
        has_moments=setting.has_optimizer,
        shards=1,
        bucket_copies=0,
    )
    peaks = [backward_peak(model, _forward(model.decoder, setting), method)]
    if setting.has_optimizer:
        peaks.append(optimizer_peak(model, method))
    return max(peaks, key=lambda peak: peak.total)


def _forward(decoder: Decoder, setting: Setting) -> Forward:
    group = setting.group
    if setting.stage == "sft":
        longest = group.completion_tokens * 11 // 10
        row = group.prompt_tokens(group.anchor) + longest
        # On a CPU TRL's head scores every position but the last.
        return plain_forward(
            decoder, group.rollouts, row, row - 1, group.anchor[0] * group.anchor[1]
        )
    patches = (group.anchor[0] * group.anchor[1] + group.negative[0] * group.negative[1]) // 2
    prompts = group.prompt_tokens(group.anchor) + group.prompt_tokens(group.negative)
    shape = Completions(1, prompts // 2, group.rollouts, group.completion_tokens, 2, patches)
    return packed_forward(decoder, shape)


def train(setting: Setting, steps: int) -> None:
    """Make the model and train it on one group."""
    from finer1.policy.optimizer import build_optimizer
    from finer1.policy.vision_attention import batch_windows

    model = build_model(setting.model, 0, "cpu", torch.float32)
    batch_windows(model)
    model.model.visual.requires_grad_(setting.train_vision)
    if setting.is_checkpointed:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = build_optimizer(model, 1e-5, 0.01, (0.9, 0.98)) if setting.has_optimizer else None
    replay = draw_group(model, setting.group, 0)
    for _ in range(steps):
        for _ in range(setting.num_parts):
            loss = _sft_loss(model, replay) if setting.stage == "sft" else _tapo_loss(model, replay)
            loss.backward()
            del loss
        if optimizer is not None:
            optimizer.step()
        model.zero_grad(set_to_none=True)


def _tapo_loss(model: Any, replay: Replay) -> torch.Tensor:
    from finer1.policy.forward import score_completions

    scored = score_completions(
        model, replay.branches, replay.completion_ids, replay.completion_mask, 1.0, "packed"
    )
    return update_loss(scored, scored[0].detach() + replay.old_noise, replay)


def _sft_loss(model: Any, replay: Replay) -> torch.Tensor:
    """As SFTTrainer.compute_loss: its fused head, the mean over the completion tokens."""
    from trl.trainer.utils import add_fused_lm_head

    if "forward" not in vars(model):
        add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    inputs = dict(peer_rows(replay, model.config.image_token_id)[0].inputs)
    prompt = inputs["input_ids"].shape[1] - inputs.pop("logits_to_keep")
    del inputs["num_images"]
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[:, :prompt] = -100
    loss: torch.Tensor = model(**inputs, labels=labels, fused_lm_head=True).loss
    return loss


def measure(setting: Setting) -> int:
    """Bytes by which the resident memory of this process grows; for a process of its own."""
    torch.set_num_threads(1)
    train(replace(setting, model=TINY, group=GroupShape(20, (8, 8), (8, 8), 8, 2)), steps=2)
    before = _resident()
    train(setting, steps=2)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def measure_apart(name: str) -> int:
    """`measure` of one of SETTINGS in a fresh process."""
    settings = [f"{key}={value}" for key, value in _MALLOC.items()]
    command = ["env", *settings, sys.executable, "-m", "benchmarks.memory", "--child", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.split()[-1])


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def main(arguments: list[str]) -> int:
    """Measure what is named, or all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*SETTINGS, []])
    parser.add_argument("--child", choices=SETTINGS, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.child:
        print(measure(SETTINGS[asked.child]))
        return 0
    rows, is_off = [], False
    for name in asked.names or SETTINGS:
        peak, measured = predict(SETTINGS[name]), measure_apart(name)
        difference = peak.total / measured - 1
        is_off |= abs(difference) > BAR
        parts = (peak.weights, peak.gradients, peak.moments, peak.activations, peak.work)
        cells = [f"{part / MIB:.0f}" for part in (*parts, peak.total, measured)]
        rows.append([name, *cells, f"{difference:+.1%}"])
        print(rows[-1], file=sys.stderr, flush=True)
    columns = ("configuration", "weights", "gradients", "moments", "activations", "work")
    print(describe_machine())
    print()
    print(markdown_table((*columns, "predicted", "measured", "difference"), rows, num_texts=1))
    return int(is_off)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
