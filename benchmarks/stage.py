"""A rollout step of the embedded TAPO stage, TRL's way and ours, phase by phase.

    python -m benchmarks.stage

Needs what the stages before `tapo` write (`make run`). The prompts are short, so there is little
to share; what is asked is how much of the ratio that the formulas predict is reached. Prints
markdown. Exit code 1 when the two updates are not equal, 2 when params.yaml sets another update.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.embedded import Embedded, missing_inputs, read_stage
from benchmarks.formulas import forward_flops, update_flops
from benchmarks.measure import LOGPROB_TOLERANCE, Account, Ratio, examine, time_ratio
from benchmarks.objective import update_loss
from benchmarks.peer_rollouts import generate_rows, process_rows, rollout_rows
from benchmarks.shapes import set_dtype
from benchmarks.sides import B0, OURS, Part, build_part
from benchmarks.tables import describe_machine, format_ratio, markdown_table
from finer1.policy.optimizer import build_optimizer
from finer1.tapo.rollouts import RolloutGroup

SIDES = (B0, OURS)
UPDATE_PHASES = ("old", "forward", "backward", "optimizer")
"""`forward` is that under anchor and negative; `old` is there from the second update of a step."""
PHASES = ("generate", "prepare", *UPDATE_PHASES)
BAR = 0.8
"""Share of the predicted ratio that the update phases must reach."""

Seconds = dict[str, float]


@contextmanager
def charged(seconds: Seconds, phase: str) -> Iterator[None]:
    """Add the CPU time of the block to a phase."""
    began = time.process_time()
    yield
    seconds[phase] += time.process_time() - began


def time_rollouts(stage: Embedded, groups: Sequence[RolloutGroup]) -> dict[str, Seconds]:
    """CPU seconds of `generate` and `prepare`: ours, and TRL's for as many completion tokens."""
    seconds: dict[str, Seconds] = {name: defaultdict(float) for name in SIDES}
    sampler = stage.sampler
    with charged(seconds[OURS], "generate"):
        ours = sampler.sample([group.outcome.number for group in groups])
    with charged(seconds[OURS], "prepare"):
        stage.lay_out(ours)
    with charged(seconds[B0], "generate"):
        num_tokens = generate_rows(groups, sampler)
    seconds[B0]["generate"] *= sum(group.num_tokens for group in groups) / num_tokens
    questions, images = rollout_rows(groups, sampler)
    size = len(images) // len(groups)
    with charged(seconds[B0], "prepare"):
        process_rows(sampler, questions, images)  # TRL does it again after it has sampled
        process_rows(sampler, questions, [g.prompt.negative for g in groups for _ in range(size)])
    return seconds


def time_step(model: Any, updates: Sequence[Sequence[Part]], name: str) -> Seconds:
    """CPU seconds of a step's updates by one side; a learning rate of 0 keeps the weights."""
    seconds: Seconds = defaultdict(float)
    optimizer = build_optimizer(model, lr=0.0, weight_decay=0.01, betas=(0.9, 0.999))
    for number, update in enumerate(updates):
        olds: list[torch.Tensor | None] = [None] * len(update)
        if number > 0:
            with charged(seconds, "old"):
                olds = [part.score_anchor(name) for part in update]
        for part, old in zip(update, olds, strict=True):
            with part.sides[name].setting():
                with charged(seconds, "forward"):
                    logprobs = part.sides[name].score()
                    own = logprobs[0].detach() if old is None else old
                    loss = update_loss(logprobs, own, part.replay)
                with charged(seconds, "backward"):
                    loss.backward()
        with charged(seconds, "optimizer"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return seconds


def predicted_ratio(model: Any, updates: Sequence[Sequence[Part]]) -> float:
    """FLOPs of B0's updates over those of ours."""
    flops = dict.fromkeys(SIDES, 0.0)
    for name in SIDES:
        for number, update in enumerate(updates):
            for part in update:
                flops[name] += update_flops(model, part.sides[name].work, False)
                if number > 0:
                    work = part.anchor_sides[name].work
                    flops[name] += forward_flops(model, work)
    return flops[B0] / flops[OURS]


def examine_step(
    model: Any, updates: Sequence[Sequence[Part]], dtype: torch.dtype
) -> list[Account]:
    """Our account of each micro-batch, compared with B0's, with the weights in this format."""
    set_dtype(model, dtype)
    accounts = []
    for part in [part for update in updates for part in update]:
        old = part.score_anchor(B0) + part.replay.old_noise
        sides = [part.sides[name] for name in SIDES]
        accounts.append(examine(model, part.replay, sides, old)[1])
    set_dtype(model, torch.float32)
    return accounts


def equality_text(number_format: str, accounts: Sequence[Account]) -> str:
    """How far ours is from B0."""
    num_off = sum(account.num_off for account in accounts)
    num_scored = sum(account.side.work.scored for account in accounts)
    return (
        f"Difference from B0, weights in {number_format}: log-probabilities "
        f"{max(account.logprob_error for account in accounts):.1e} absolute, {num_off} of "
        f"{num_scored} above {LOGPROB_TOLERANCE:.0e}; gradients "
        f"{max(account.gradient_error for account in accounts):.1e} relative L2."
    )


def measure(stage: Embedded, repeats: int) -> tuple[str, bool]:
    """The report as markdown, and whether the updates are equal."""
    groups = stage.sampler.sample(range(stage.params.tapo.prompts_per_step))
    updates = [
        [build_part(stage.model, replay, False) for replay in update]
        for update in stage.lay_out(groups)
    ]
    accounts = examine_step(stage.model, updates, torch.float64)
    # Told and not judged: rounding alone takes single tokens past 1e-5 here.
    rounded = examine_step(stage.model, updates, torch.float32)
    lines = [
        _setting(groups),
        equality_text("float64", accounts),
        equality_text("float32", rounded),
        "",
    ]
    if not all(account.is_exact for account in accounts):
        return "\n".join([*lines, "NOT EQUAL, so nothing was timed."]), False
    runs: dict[str, list[Seconds]] = {name: [] for name in SIDES}
    for _ in range(repeats):
        rollouts = time_rollouts(stage, groups)
        for name in SIDES:
            runs[name].append(time_step(stage.model, updates, name) | rollouts[name])
    predicted = predicted_ratio(stage.model, updates)
    return "\n".join([*lines, *_results(runs, predicted)]), True


def _setting(groups: Sequence[RolloutGroup]) -> str:
    size = len(groups[0].completions)
    prompt = statistics.mean(len(group.anchor.token_ids) for group in groups)
    completion = statistics.mean(group.num_tokens / size for group in groups)
    return (
        f"{describe_machine()}. {len(groups)} groups of the model of stage 1, mean P {prompt:.0f} "
        f"R {completion:.0f} n {size}.\n"
    )


def _results(runs: dict[str, list[Seconds]], predicted: float) -> list[str]:
    rows = [
        *(_row(phase, (phase,), runs) for phase in ("generate", "prepare")),
        _row("update", UPDATE_PHASES, runs),
        *(_row(f"of which {phase}", (phase,), runs) for phase in UPDATE_PHASES),
        _row("whole step", PHASES, runs),
    ]
    update = _ratio(UPDATE_PHASES, runs)
    share = update.median / predicted
    return [
        markdown_table(("phase", "B0, CPU s", "ours, CPU s", "ratio"), rows, num_texts=1),
        "",
        f"- {'holds' if share >= BAR else 'MISSED'}: the update is {update.median:.2f}x as fast, "
        f"{share:.0%} of the {predicted:.2f}x that the formulas predict; bar {BAR:.0%}",
    ]


def _row(title: str, phases: Sequence[str], runs: dict[str, list[Seconds]]) -> list[str]:
    medians = [f"{statistics.median(_totals(phases, runs[name])):.2f}" for name in SIDES]
    return [title, *medians, format_ratio(_ratio(phases, runs))]


def _ratio(phases: Sequence[str], runs: dict[str, list[Seconds]]) -> Ratio:
    return time_ratio(_totals(phases, runs[B0]), _totals(phases, runs[OURS]))


def _totals(phases: Sequence[str], runs: Sequence[Seconds]) -> list[float]:
    """Seconds of these phases together, in each run."""
    return [sum(seconds[phase] for phase in phases) for seconds in runs]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=Path(), help="project folder")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    missing = missing_inputs(options.root)
    if missing:
        names = ", ".join(map(str, missing))
        print(f"Embedded stage: not measured; `make run` has not made {names} yet.")
        return 0
    torch.set_num_threads(1)
    try:
        stage = read_stage(options.root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    text, is_equal = measure(stage, options.repeats)
    print(text)
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
