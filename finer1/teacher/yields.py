"""How the rationales of each sub-category fared: counted, written, read and summed.

The released set lost 34 of 120 seen birds silently; here the yield is a result, a file with a line
per sub-category. It holds nothing that varies between equal runs: seconds go to the log alone.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finer1.files import write_atomic
from finer1.records import ClassKey

TOKENS_PER_PRICE = 1_000_000
"""Tokens that cot.price_per_million_tokens is for."""

_COUNTS = ("asked", "kept", "queued", "samples", "tokens", "cut")
_RUNG = "rung_"
_ADVICE = "advice"


@dataclass
class ClassYield:
    """How the images of one sub-category fared."""

    asked: int = 0
    """Images; another image asked in place of one is not counted again."""
    kept: int = 0
    """Images with an accepted rationale."""
    queued: int = 0
    """Images without, of which a sample failed on nothing but what a person can put right."""
    samples: int = 0
    """Samples drawn; samples - kept were rejected."""
    tokens: int = 0
    """Tokens of the samples."""
    cut: int = 0
    """Samples that ended at cot.max_tokens."""
    rungs: Counter[int] = field(default_factory=Counter)
    """Accepted rationales by the rung of the ladder that gave them, from 1."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Samples by reason."""
    advice: str = ""
    """What to do about a sub-category without any rationale."""


def add_yields(counts: Iterable[ClassYield]) -> ClassYield:
    """The sums of the counts."""
    total = ClassYield()
    for count in counts:
        for name in _COUNTS:
            setattr(total, name, getattr(total, name) + getattr(count, name))
        total.rungs += count.rungs
        total.rejected += count.rejected
    return total


def add_by_dataset(yields: Mapping[ClassKey, ClassYield]) -> dict[str, ClassYield]:
    """Dataset -> the sums of its sub-categories, sorted by name."""
    return {
        dataset: add_yields(count for key, count in yields.items() if key[0] == dataset)
        for dataset in sorted({key[0] for key in yields})
    }


def group_by_advice(yields: Mapping[ClassKey, ClassYield]) -> dict[str, list[str]]:
    """What to do -> the sub-categories without any rationale that need it."""
    without: dict[str, list[str]] = {}
    for (_, _, label), count in yields.items():
        if not count.kept:
            without.setdefault(count.advice, []).append(label)
    return without


def cost(tokens: int, price: float | None) -> float | None:
    """What the tokens cost, in the currency of the price for a million; None without a price."""
    return None if price is None else tokens * price / TOKENS_PER_PRICE


def yield_table(
    yields: Mapping[ClassKey, ClassYield], seconds: float, price: float | None
) -> list[dict[str, object]]:
    """A row per sub-category to look at.

    seconds: that all the sampling took in this run; shared out by tokens, since a batch holds many
    sub-categories, or by samples where no server counts tokens.
    """
    total = add_yields(yields.values())
    measure = "tokens" if total.tokens else "samples"
    second = seconds / max(getattr(total, measure), 1)
    return [
        {
            "dataset": dataset,
            "category": category,
            "label": label,
            **{name: getattr(count, name) for name in _COUNTS},
            "seconds in this run": round(second * getattr(count, measure), 2),
            "cost": cost(count.tokens, price),
            "rungs": ", ".join(f"{rung}: {kept}" for rung, kept in sorted(count.rungs.items())),
            "rejected": ", ".join(f"{name} {n}" for name, n in count.rejected.most_common()),
            _ADVICE: count.advice,
        }
        for (dataset, category, label), count in yields.items()
    ]


def write_yields(
    path: Path, yields: Mapping[ClassKey, ClassYield], num_rungs: int, reasons: Sequence[str]
) -> None:
    """Write a CSV line per sub-category: its name, the counts, and what to do about it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rungs = range(1, num_rungs + 1)
    names = [*_COUNTS, *(f"{_RUNG}{rung}" for rung in rungs), *reasons]
    writer.writerow(["dataset", "category", "label", *names, _ADVICE])
    for key, count in yields.items():
        values = [getattr(count, name) for name in _COUNTS]
        values += [count.rungs[rung] for rung in rungs]
        values += [count.rejected[reason] for reason in reasons]
        writer.writerow([*key, *values, count.advice])
    write_atomic(path, text.getvalue().encode())


def read_yields(path: Path) -> dict[ClassKey, ClassYield]:
    """What write_yields wrote, without the zeros.

    Raises ValueError when a column is missing or a count is no number.
    """
    yields = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, line in enumerate(csv.DictReader(file), 2):
            try:
                key = line.pop("dataset"), line.pop("category"), line.pop("label")
                count = ClassYield(advice=line.pop(_ADVICE))
                for name in _COUNTS:
                    setattr(count, name, int(line.pop(name)))
                for name, value in line.items():
                    if name.startswith(_RUNG):
                        count.rungs[int(name.removeprefix(_RUNG))] = int(value)
                    else:
                        count.rejected[name] = int(value)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{path}:{number}: no row of yields ({error})") from error
            count.rungs, count.rejected = +count.rungs, +count.rejected
            yields[key] = count
    return yields
