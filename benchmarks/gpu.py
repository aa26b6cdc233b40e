"""Qwen2.5-VL-3B's shape on a GPU: one TAPO update, TRL's way and ours, phase by phase.

    python -m benchmarks.gpu            in a checkout; needs torch, transformers, trl and datasets
    python -m benchmarks.gpu --tiny     toy sizes, any device: does the script run?

Random weights, bfloat16, replayed rollouts; gradient checkpointing on all sides, and ours once
more without. First, in float32 and on a slice, all sides must compute B0's update; then each
side's bfloat16 error is told. Prints markdown. Exit code 1 when the updates are not equal; then
nothing is timed.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu_report import bfloat16_text, equality_text, peak_flops, step_table
from benchmarks.gpu_steps import measure_steps
from benchmarks.measure import Account, examine
from benchmarks.replay import draw_group
from benchmarks.shapes import (
    QWEN_3B,
    TINY,
    GroupShape,
    ModelShape,
    build_model,
    set_dtype,
)
from benchmarks.sides import B0, B1, B2, OURS, OURS_UNCHECKPOINTED, build_part
from benchmarks.tables import describe_machine

SIDES = (B0, B1, B2, OURS, OURS_UNCHECKPOINTED)
SEED = 0


@dataclass(frozen=True)
class Plan:
    """What a run measures."""

    shape: ModelShape
    slice: GroupShape
    """For the comparison in float32."""
    groups: tuple[GroupShape, ...]
    num_warm_ups: int
    num_steps: int


QWEN = Plan(
    shape=QWEN_3B,
    slice=GroupShape(60, (16, 24), (20, 22), 40, 4),
    groups=(
        GroupShape(60, (40, 64), (46, 56), 400, 10),
        GroupShape(60, (64, 80), (60, 86), 200, 10),
    ),
    num_warm_ups=3,
    num_steps=10,
)
TOY = Plan(
    shape=TINY,
    slice=GroupShape(12, (4, 4), (4, 6), 10, 2),
    groups=(GroupShape(12, (8, 8), (6, 8), 10, 4),),
    num_warm_ups=1,
    num_steps=2,
)


def run(plan: Plan, device: str, peak: float | None) -> tuple[str, bool]:
    """The report as markdown, and whether all sides compute one and the same update."""
    # TF32 would blur the comparison in float32; bfloat16 does not use it.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = build_model(plan.shape, SEED, device, torch.bfloat16)
    part = build_part(model, draw_group(model, plan.slice, SEED), is_checkpointed=True)
    accounts, exact = _examine(model, part)
    lines = [f"{describe_machine()}, bfloat16, seed {SEED}.", "", equality_text(accounts)]
    if not all(account.is_exact for account in accounts):
        return "\n".join([*lines, "", "NOT EQUAL, so nothing was timed."]), False
    errors = {name: _error(part.score_anchor(name), exact) for name in SIDES}
    lines += [bfloat16_text(errors), ""]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    for group in plan.groups:
        part = build_part(model, draw_group(model, group, SEED), is_checkpointed=True)
        sides = []
        for name in SIDES:
            print(f"{group.name}: {name}", file=sys.stderr, flush=True)
            steps = measure_steps(part, name, optimizer, plan.num_warm_ups, plan.num_steps)
            sides.append(steps)
        lines += [step_table(model, group.name, part, sides, peak), ""]
    return "\n".join(lines), True


def _examine(model: Any, part: Any) -> tuple[list[Account], torch.Tensor]:
    """The comparison in float32, and B0's log-probabilities there; the weights come back."""
    set_dtype(model, torch.float32)
    exact = part.score_anchor(B0)
    sides = [part.sides[name] for name in SIDES]
    accounts = examine(model, part.replay, sides, exact + part.replay.old_noise)
    set_dtype(model, torch.bfloat16)
    return accounts, exact


def _error(got: torch.Tensor, exact: torch.Tensor) -> float:
    return (got - exact).abs().mean().item()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tiny", action="store_true", help="toy sizes, any device")
    parser.add_argument("--peak-tflops", type=float, help="of the device, dense bfloat16")
    options = parser.parse_args(arguments)
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not options.tiny:
        print("benchmarks.gpu needs a CUDA device; --tiny runs anywhere", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name() if has_gpu else ""
    peak = options.peak_tflops * 1e12 if options.peak_tflops else peak_flops(name)
    text, is_equal = run(TOY if options.tiny else QWEN, "cuda" if has_gpu else "cpu", peak)
    print(text)
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
