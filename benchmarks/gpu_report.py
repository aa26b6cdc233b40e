"""The GPU's results as markdown."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.formulas import Work, forward_flops, shared_work, update_flops, useful_flops
from benchmarks.gpu_steps import PASSES, PHASES, Steps
from benchmarks.measure import Account, Ratio, time_ratio
from benchmarks.sides import B0, OURS, Part
from benchmarks.tables import format_ratio, markdown_table

BAR = 0.8
"""Share of the predicted FLOP ratio that ours must reach."""
BFLOAT16_BAR = 1.5
"""Our bfloat16 error over B0's, at most."""
GIB = 2**30
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "B200": 2250e12, "L40S": 362e12}
"""Dense bfloat16 by name of the device, from the vendor's data sheets."""
COLUMNS = (
    "group",
    "side",
    *(f"{phase}, s" for phase in PHASES),
    "step, s",
    "passes faster than B0",
    "predicted",
    "measured / predicted",
    "completion tokens/s",
    "tokens",
    "images",
    "useful MFU",
    "HFU",
    f"peak GiB: {' / '.join(PHASES)}",
    "reserved GiB",
)


def peak_flops(device_name: str) -> float | None:
    """FLOP/s of a known device."""
    found = [flops for name, flops in PEAK_FLOPS.items() if name in device_name]
    return found[0] if found else None


def equality_text(accounts: Sequence[Account]) -> str:
    """What the float32 check found; B0's account comes first."""
    parts = [
        f"{account.side.name}: log-probabilities {account.logprob_error:.1e} absolute, gradients "
        f"{account.gradient_error:.1e} relative L2"
        for account in accounts[1:]
    ]
    return "Difference from B0 in float32 on a slice. " + "; ".join(parts) + "."


def bfloat16_text(errors: Mapping[str, float]) -> str:
    """Mean absolute error of bfloat16 log-probabilities by side."""
    told = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
    ratio = errors[OURS] / errors[B0]
    verdict = "holds" if ratio <= BFLOAT16_BAR else "MISSED"
    return (
        f"Mean error of bfloat16 log-probabilities against float32: {told}.\n"
        f"- {verdict}: ours errs {ratio:.2f}x as much as B0, bar {BFLOAT16_BAR}"
    )


def step_table(
    model: Any, group: str, part: Part, sides: Sequence[Steps], peak: float | None
) -> str:
    """A row per side, and whether ours reaches its share of the prediction."""
    by_name = {steps.side.name: steps for steps in sides}
    base, ours = by_name[B0], by_name[OURS]
    rows = [[group, *_row(model, part, steps, base, peak)] for steps in sides]
    measured, predicted = _speed_up(base, ours).median, _predicted(model, part, base, ours)
    share = measured / predicted
    whole = ", ".join(f"{f:.0%}: {1 / ((1 - f) / measured + f):.2f}x" for f in (0.1, 0.3, 0.5))
    return "\n".join(
        [
            markdown_table(COLUMNS, rows),
            "",
            f"- {'holds' if share >= BAR else 'MISSED'}: {measured:.2f}x, {share:.0%} of the "
            f"predicted {predicted:.2f}x, bar {BAR:.0%}",
            f"- whole step where the rollouts take this share of our step's time with B0: {whole}",
        ]
    )


def _row(model: Any, part: Part, steps: Steps, base: Steps, peak: float | None) -> list[str]:
    medians = [f"{statistics.median(steps.seconds[phase]):.4f}" for phase in PHASES]
    totals, passes = steps.totals(), statistics.median(steps.totals(PASSES))
    measured, predicted = _speed_up(base, steps), _predicted(model, part, base, steps)
    useful = useful_flops(model, shared_work(part.replay)) + forward_flops(
        model, part.anchor_sides[OURS].work
    )
    executed = _executed(model, part, steps)
    return [
        steps.side.name,
        *medians,
        f"{statistics.median(totals):.4f} [{min(totals):.4f}, {max(totals):.4f}]",
        format_ratio(measured),
        f"{predicted:.2f}",
        f"{measured.median / predicted:.0%}",
        f"{part.replay.num_tokens / statistics.median(totals):.0f}",
        f"{steps.side.work.tokens}",
        f"{steps.side.work.images}",
        f"{useful / passes / peak:.1%}" if peak else "-",
        f"{executed / passes / peak:.1%}" if peak else "-",
        " / ".join(f"{size / GIB:.1f}" for size in steps.peak_bytes.values()) or "-",
        f"{steps.reserved_bytes / GIB:.1f}" if steps.reserved_bytes else "-",
    ]


def _speed_up(base: Steps, steps: Steps) -> Ratio:
    """Of the passes: old, forward and backward; of steps with the same number."""
    return time_ratio(base.totals(PASSES), steps.totals(PASSES))


def _predicted(model: Any, part: Part, base: Steps, steps: Steps) -> float:
    return _executed(model, part, base) / _executed(model, part, steps)


def _executed(model: Any, part: Part, steps: Steps) -> float:
    """FLOPs of a side's passes as they run."""
    side = steps.side
    old: Work = part.anchor_sides[side.name].work
    return update_flops(model, side.work, side.is_checkpointed) + forward_flops(model, old)
