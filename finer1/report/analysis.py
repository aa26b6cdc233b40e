"""Table 4 and Figure 4 of Fine-R1 on the page: probe, similarity by genus, true and false names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from finer1.analysis.comparing import Change, compare_analyses
from finer1.analysis.drawing import Curve, Ink, layers_figure, names_figure
from finer1.analysis.results import Accuracy, Analysis, ProbeRule, SeparabilityFigures
from finer1.evaluation.statistics import Bootstrap, Interval
from finer1.params import Params
from finer1.report.figures import MARKERS, to_svg
from finer1.report.names import names_in
from finer1.report.published import PublishedAnalysis, published_analyses
from finer1.report.robustness import EN_DASH, Line, choose_lines, swatch

MINUS = "\N{MINUS SIGN}"
POINTS = 200
"""Images whose two statements are drawn, at most, spread evenly."""
RULES = ("best_on_test", "last", "best_on_validation")
PUBLISHED_NOTE = (
    "The published t and p are shown as they stand, and what they test is unclear: "
    "t = \N{MINUS SIGN}0.3872 gives p = 0.6993 for 107 to 137 pairs; t is negative, while both "
    "differences and their growth from 0.0088 to 0.0531 are positive; and that growth at that t "
    "needs a standard deviation of about 1.2, of cosines that differ by hundredths."
)
PAPER_FINDINGS = (
    "The paper finds the probe about equal (84.26 to 85.0), the similarity not changed "
    "significantly, and true and false names more separable after training."
)


@dataclass(frozen=True)
class Cell:
    """A figure with what stands below it."""

    value: str
    under: tuple[str, ...] = ()
    is_clear: bool = True
    """False for a difference whose interval includes zero."""


@dataclass(frozen=True)
class AnalysisRow:
    """A model, a difference or a published row: the probe by RULES, similarity, t, names."""

    key: str
    """Of the model, which may have a mark on the page."""
    model: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class AnalysisView:
    """What the page says about hidden states."""

    rows: tuple[AnalysisRow, ...]
    changes: tuple[AnalysisRow, ...]
    """Less the first model."""
    published: tuple[AnalysisRow, ...]
    notes: tuple[str, ...]
    legend: tuple[tuple[str, Markup], ...]
    layers: Markup | None
    """SVG: the similarity over hidden states; None where no model has one."""
    names: tuple[tuple[str, str, Markup], ...]
    """(model, accuracy in words, SVG)."""


def collect_analysis(params: Params, found: Mapping[str, Analysis]) -> AnalysisView | None:
    """Tables and figures of the models of params.analysis; None where there is none."""
    if not found:
        return None
    names, lines = names_in(params.analysis.models), choose_lines([*found])
    changes = changes_to_first(params, found)
    curves = [
        _curve(item, lines[name]) for name, item in found.items() if item.similarity is not None
    ]
    layers = to_svg(layers_figure(curves, _ink("--ink")), "analysis/layers") if curves else None
    first = next(iter(found))
    return AnalysisView(
        rows=tuple(_row(name, names[name], item) for name, item in found.items()),
        changes=tuple(
            _change(f"{names[name]} {MINUS} {names[first]}", item) for name, item in changes.items()
        ),
        published=tuple(map(_published, published_analyses())),
        notes=(*_facts(params, found[first]), PUBLISHED_NOTE, PAPER_FINDINGS),
        legend=tuple((names[name], swatch(lines[name])) for name in found),
        # The charts hold numbers only.
        layers=None if layers is None else Markup(layers),
        names=tuple(
            (names[name], _told(item.separability), _scatter(name, item, lines[name]))
            for name, item in found.items()
        ),
    )


def changes_to_first(params: Params, found: Mapping[str, Analysis]) -> dict[str, Change]:
    """Model -> its paired differences to the first of params.analysis; empty for one model."""
    first, *others = found
    bootstrap = Bootstrap(params.score.bootstrap_samples, params.score.confidence, params.seed)
    return {
        name: compare_analyses(found[name], found[first], params.analysis.permutations, bootstrap)
        for name in others
    }


def _facts(params: Params, item: Analysis) -> tuple[str, ...]:
    probe, names, settings = item.probe, item.separability, params.analysis
    facts = [
        f"Linear probe on the mean image token of the last layer: {probe.num_classes} "
        f"sub-categories, {probe.num_train} training, {probe.num_validation} validation and "
        f"{len(item.test_ids)} test images; {settings.probe.epochs} epochs, Adam, learning rate "
        f"{settings.probe.lr:g}, batch {settings.probe.batch_size}. Best on test is the paper's "
        "rule: the epoch is chosen by the accuracy that is then reported, which leaks."
        + _left_out(probe.left_out, "have test images but no training image"),
        f"Names: the last token of \u201c{settings.separability.statement}\u201d with the true "
        f"and with a false name, {len(names.ids)} images; a linear classifier, cross-validated "
        f"over {settings.separability.folds} folds of whole sub-categories: it has seen neither "
        "the sub-category nor the names that it judges. Chance: labels swapped by sub-category."
        + _left_out(names.left_out, "are of categories with too few to hold some out"),
    ]
    if item.similarity is None:
        facts.append("Similarity: no sub-category has a congener and enough others to compare.")
    else:
        facts.append(
            "Similarity: the cosine of a sub-category's mean image token to that of another of its "
            f"{item.similarity.level}, less the mean cosine to {settings.similarity.others} of "
            f"others; {len(item.similarity.targets)} sub-categories, {item.similarity.left_out} "
            "left out; paired t-test, and permutation test by flipping signs. As in the paper the "
            "targets count as independent, which they are not: two that are each other's congener "
            "share a cosine, and many share others; so p is smaller and intervals are "
            "narrower than they should be."
        )
    return tuple(facts)


def _left_out(count: int, why: str) -> str:
    return f" Left out: {count} sub-categories, which {why}." if count else ""


def _row(key: str, name: str, item: Analysis) -> AnalysisRow:
    names = item.separability
    chance = f"chance {_percent(names.chance)}, {_probability('p', names.p)}"
    cells: list[Cell | None] = [_probe(getattr(item.probe, rule)) for rule in RULES]
    if item.similarity is None:
        cells += [None, None]
    else:
        last = item.similarity.layers[-1]
        interval = f"{last.low:.4f}{EN_DASH}{last.high:.4f}"
        cells += [Cell(f"{last.delta:.4f}", (interval,)), _test(last.t, last.p, last.permutation_p)]
    told = Cell(_percent(names.accuracy.value), (_range(names.accuracy), chance))
    return AnalysisRow(key, name, (*cells, told))


def _change(name: str, change: Change) -> AnalysisRow:
    probes = [_difference(getattr(change, f"probe_{rule}"), 100, 1) for rule in RULES]
    test = change.similarity_test
    return AnalysisRow(
        "",
        name,
        (
            *probes,
            _difference(change.similarity, 1, 4) if change.similarity else None,
            _test(test.t, test.p, test.permutation_p) if test else None,
            _difference(change.separability, 100, 1),
        ),
    )


def _published(row: PublishedAnalysis) -> AnalysisRow:
    test = Cell(_signed(f"{row.t}"), (_probability("p", row.p),)) if row.t is not None else None
    cells = (Cell(f"{row.probe:.2f}"), None, None, Cell(f"{row.delta:.4f}"), test, None)
    return AnalysisRow("", f"{row.name}, published", cells)


def _probe(rule: ProbeRule) -> Cell:
    return Cell(_percent(rule.accuracy.value), (_range(rule.accuracy), f"epoch {rule.epoch}"))


def _test(t: float | None, p: float | None, permutation_p: float) -> Cell:
    permuted = _probability("permuted", permutation_p)
    value = EN_DASH if t is None else _signed(f"{t:.2f}")
    return Cell(value, (_probability("p", p), permuted) if p is not None else (permuted,))


def _difference(found: Interval, scale: float, digits: int) -> Cell:
    value, low, high = (
        _signed(f"{scale * number:+.{digits}f}") for number in (found.value, found.low, found.high)
    )
    return Cell(value, (f"{low} to {high}",), found.low > 0 or found.high < 0)


def _told(names: SeparabilityFigures) -> str:
    return f"{_percent(names.accuracy.value)} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _range(accuracy: Accuracy) -> str:
    return f"{_percent(accuracy.low)}{EN_DASH}{_percent(accuracy.high)}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def _probability(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{name} < 0.0001" if value < 5e-5 else f"{name} = {value:.4f}"


def _ink(colour: str) -> Ink:
    """The page's colours: true names in `colour`, false ones hollow."""
    return Ink(*(MARKERS[name] for name in ("--ink", "--muted", "--line", colour, "--ink")))


def _curve(item: Analysis, line: Line) -> Curve:
    assert item.similarity is not None
    return Curve(item.similarity.layers, MARKERS[line.colour], line.mark, line.dash)


def _scatter(name: str, item: Analysis, line: Line) -> Markup:
    names = item.separability
    thinned = replace(
        names, true_points=_thin(names.true_points), false_points=_thin(names.false_points)
    )
    return Markup(to_svg(names_figure(thinned, _ink(line.colour)), f"analysis/names/{name}"))


def _thin(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    count = min(POINTS, len(points))
    return tuple(points[i * len(points) // count] for i in range(count))
