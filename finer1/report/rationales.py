"""What the page says of the teacher: yield, ladder, sub-categories without a rationale."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from finer1.data_params import CotParams
from finer1.records import ClassKey
from finer1.report.figures import yield_chart
from finer1.teacher.ladder import rungs
from finer1.teacher.yields import ClassYield, add_by_dataset, add_yields, cost, group_by_advice


@dataclass(frozen=True)
class YieldRow:
    """A line of the table: one dataset, or all of them."""

    name: str
    classes: int
    without: int
    """Sub-categories without any rationale."""
    total: ClassYield
    cost: str
    """Of its tokens; empty without a price."""


@dataclass(frozen=True)
class YieldSummary:
    """Yield of the rationales."""

    total: ClassYield
    rows: tuple[YieldRow, ...]
    """A dataset each, and their sum where they are several."""
    rejected: tuple[tuple[str, int], ...]
    """(reason, samples), most frequent first."""
    rungs: tuple[tuple[str, int], ...]
    """(what was tried, rationales that it gave); empty where nothing was sampled."""
    has_price: bool
    chart: Markup
    classes: tuple[tuple[ClassKey, ClassYield], ...]
    """Lowest yield first."""
    without: tuple[tuple[tuple[str, ...], str], ...]
    """(sub-categories, what to do) of those without any rationale."""


def summarise_yields(yields: Mapping[ClassKey, ClassYield], settings: CotParams) -> YieldSummary:
    """Totals, and the classes with the lowest yield first."""
    total = add_yields(yields.values())
    ordered = sorted(yields, key=lambda key: (yields[key].kept / max(yields[key].asked, 1), key))
    price = settings.price_per_million_tokens
    rows = [
        _row(name, [count for key, count in yields.items() if key[0] == name], sums, price)
        for name, sums in add_by_dataset(yields).items()
    ]
    if len(rows) > 1:
        rows.append(_row("all", list(yields.values()), total, price))
    return YieldSummary(
        total=total,
        rows=tuple(rows),
        rejected=tuple(sorted(total.rejected.items(), key=lambda item: (-item[1], item[0]))),
        rungs=_tried(total, settings) if settings.source == "teacher" else (),
        has_price=price is not None,
        chart=Markup(yield_chart(yields)),  # of numbers and reasons only
        classes=tuple((key, yields[key]) for key in ordered),
        without=tuple(
            (tuple(labels), advice) for advice, labels in group_by_advice(yields).items()
        ),
    )


def _row(name: str, counts: list[ClassYield], total: ClassYield, price: float | None) -> YieldRow:
    amount = cost(total.tokens, price)
    return YieldRow(
        name=name,
        classes=len(counts),
        without=sum(not count.kept for count in counts),
        total=total,
        cost="" if amount is None else f"{amount:.2f}",
    )


def _tried(total: ClassYield, settings: CotParams) -> tuple[tuple[str, int], ...]:
    return tuple(
        (
            f"{rung.attempts} samples at temperature {rung.temperature:g}"
            + (" of another image of the class" if rung.image == "other" else ""),
            total.rungs[number],
        )
        for number, rung in enumerate(rungs(settings), 1)
    )
