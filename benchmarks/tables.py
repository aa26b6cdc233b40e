"""Markdown tables of what was measured, and where and when."""

import datetime
import platform
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
import trl

from benchmarks.counting import MIB
from benchmarks.formulas import update_flops
from benchmarks.measure import Account, Ratio, time_ratio
from benchmarks.sides import B0

UPDATE_COLUMNS = (
    "group",
    "side",
    "CPU s",
    "faster than B0",
    "kept for backward, MiB",
    "smaller",
    "tokens",
    "images",
    "GFLOP, formula",
    "GFLOP, counted",
    "predicted",
    "measured / predicted",
)


def markdown_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int = 2
) -> str:
    """A table whose first `num_texts` columns are text and whose others are numbers."""
    marks = ["---" if place < num_texts else "---:" for place in range(len(columns))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, marks, *rows))


def update_rows(model: object, group: str, accounts: Sequence[Account]) -> list[list[str]]:
    """A row per side; all are exact and timed."""
    (base,) = (account for account in accounts if account.side.name == B0)
    rows = []
    for account in accounts:
        flops = _flops(model, account)
        predicted = _flops(model, base) / flops
        ratio = time_ratio(base.seconds, account.seconds)
        cells = [
            group,
            account.side.name,
            f"{account.median_seconds:.2f}",
            format_ratio(ratio),
            f"{account.saved_bytes / MIB:.0f}",
            f"{base.saved_bytes / account.saved_bytes:.2f}",
            f"{account.counts.tokens}",
            f"{account.counts.images}",
            f"{flops / 1e9:.0f}",
            f"{account.counts.flops / 1e9:.0f}",
            f"{predicted:.2f}",
            f"{ratio.median / predicted:.0%}",
        ]
        rows.append(cells)
    return rows


def format_ratio(ratio: Ratio) -> str:
    """Median, and the range over the repeats."""
    return f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def describe_machine() -> str:
    """One line: date, processor, versions."""
    versions = ", ".join(
        f"{package.__name__} {package.__version__}" for package in (torch, transformers, trl)
    )
    today = datetime.date.today().isoformat()
    return f"{today}; {_processor()}; Python {platform.python_version()}, {versions}"


def _processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} thread"


def _flops(model: object, account: Account) -> float:
    return update_flops(model, account.side.work, account.side.is_checkpointed)
