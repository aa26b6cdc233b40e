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
    "The published t and p are shown as they stand, and cannot be those of the row: "
    "t = \N{MINUS SIGN}0.3872 gives p = 0.6993 for 107 to 137 pairs alone, its sign is against "
    "the growth from 0.0088 to 0.0531, and a mean change of 0.0443 at that t needs differences "
    "with a standard deviation of 1.2 or more, of cosines that differ by hundredths."
)
PAPER_FINDINGS = (
    "The paper finds the probe about equal (84.26 to 85.0), the similarity not changed "
    "significantly, and true and false names more separable after training."
)


@dataclass(frozen=True)
class AnalysisRow:
    """One model; shares in per cent."""

    key: str
    model: str
    probes: tuple[tuple[str, str], ...]
    """(accuracy, interval and epoch) by RULES."""
    delta: tuple[str, str]
    """(mean, interval)."""
    t: str
    p: str
    permutation_p: str
    separability: tuple[str, str]
    """(accuracy, interval)."""
    chance: str
    """Of permuted labels, and p against it."""


@dataclass(frozen=True)
class ChangeRow:
    """One model less the first, paired; points and cosines."""

    name: str
    figures: tuple[tuple[str, str, bool], ...]
    """(difference, interval, is clear of zero): the probe by RULES, similarity, separability."""
    t: str
    p: str
    permutation_p: str


@dataclass(frozen=True)
class AnalysisView:
    """What the page says about hidden states."""

    rows: tuple[AnalysisRow, ...]
    changes: tuple[ChangeRow, ...]
    published: tuple[PublishedAnalysis, ...]
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
        published=published_analyses(),
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
        "rule: the epoch is chosen by the accuracy that is then reported, which leaks.",
        f"Names: the last token of \u201c{settings.separability.statement}\u201d with the true "
        f"and with a false name, {len(names.ids)} images; a linear classifier, cross-validated "
        f"over {settings.separability.folds} folds of images.",
    ]
    if item.similarity is None:
        facts.append("Similarity: no sub-category has a congener and enough others to compare.")
    else:
        facts.append(
            f"Similarity: the cosine of a sub-category's mean image token to that of one of its "
            f"{item.similarity.level}, less the mean cosine to {settings.similarity.others} of "
            f"others; {len(item.similarity.targets)} sub-categories, {item.similarity.left_out} "
            "left out; paired t-test, and permutation test by flipping signs."
        )
    return tuple(facts)


def _row(key: str, name: str, item: Analysis) -> AnalysisRow:
    last = item.similarity.layers[-1] if item.similarity else None
    names = item.separability
    return AnalysisRow(
        key=key,
        model=name,
        probes=tuple(_probe(getattr(item.probe, rule)) for rule in RULES),
        delta=(f"{last.delta:.4f}", f"{last.low:.4f}{EN_DASH}{last.high:.4f}")
        if last
        else ("", ""),
        t=_number(last.t, 2) if last else "",
        p=_probability(last.p) if last else "",
        permutation_p=_probability(last.permutation_p) if last else "",
        separability=(_percent(names.accuracy.value), _range(names.accuracy)),
        chance=f"{_percent(names.chance)}, p {_probability(names.p)}",
    )


def _change(name: str, change: Change) -> ChangeRow:
    test = change.similarity_test
    return ChangeRow(
        name=name,
        figures=(
            *(_difference(getattr(change, f"probe_{rule}"), 100, 1) for rule in RULES),
            _difference(change.similarity, 1, 4),
            _difference(change.separability, 100, 1),
        ),
        t=_number(test.t, 2) if test else "",
        p=_probability(test.p) if test else "",
        permutation_p=_probability(test.permutation_p) if test else "",
    )


def _probe(rule: ProbeRule) -> tuple[str, str]:
    return _percent(rule.accuracy.value), f"{_range(rule.accuracy)}, epoch {rule.epoch}"


def _difference(found: Interval | None, scale: float, digits: int) -> tuple[str, str, bool]:
    if found is None:
        return "", "", False
    value, low, high = (
        f"{scale * number:+.{digits}f}".replace("-", MINUS)
        for number in (found.value, found.low, found.high)
    )
    return value, f"{low} to {high}", found.low > 0 or found.high < 0


def _told(names: SeparabilityFigures) -> str:
    return f"{_percent(names.accuracy.value)} % told apart ({_range(names.accuracy)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _range(accuracy: Accuracy) -> str:
    return f"{_percent(accuracy.low)}{EN_DASH}{_percent(accuracy.high)}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def _probability(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


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
