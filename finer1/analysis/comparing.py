"""What training changed: two analyses of the same images, sub-category by sub-category."""

from collections.abc import Sequence
from dataclasses import dataclass

from finer1.analysis.paired_tests import PairedTest, paired_test
from finer1.analysis.results import Analysis
from finer1.draws import derive_seed
from finer1.evaluation.statistics import Bootstrap, Interval, mean_interval


@dataclass(frozen=True)
class Change:
    """One model less another; shares and cosines."""

    probe_best_on_test: Interval
    probe_last: Interval
    probe_best_on_validation: Interval
    similarity: Interval | None
    """Of the deltas in the last state; None where one of the two has none."""
    similarity_test: PairedTest | None
    separability: Interval


def compare_analyses(
    new: Analysis, base: Analysis, permutations: int, bootstrap: Bootstrap
) -> Change:
    """Paired differences with intervals over sub-categories, and the tests of the similarity.

    Raises ValueError when the two are not about the same images.
    """
    names, names_base = new.separability, base.separability
    if new.test_ids != base.test_ids or names.ids != names_base.ids:
        raise ValueError(
            f"the analyses of {new.model} and {base.model} are about different images; run the "
            "stage analysis again"
        )
    classes = new.test_classes

    def probe(rule: str) -> Interval:
        ours, theirs = getattr(new.probe, rule), getattr(base.probe, rule)
        return _difference(ours.is_right, theirs.is_right, classes, bootstrap)

    similarity, test = None, None
    if new.similarity is not None and base.similarity is not None:
        changes = _minus(new.similarity.deltas, base.similarity.deltas)
        similarity = mean_interval(changes, new.similarity.targets, bootstrap)
        test = paired_test(changes, permutations, derive_seed(bootstrap.seed, "similarity"))
    return Change(
        probe_best_on_test=probe("best_on_test"),
        probe_last=probe("last"),
        probe_best_on_validation=probe("best_on_validation"),
        similarity=similarity,
        similarity_test=test,
        separability=_difference(names.is_right, names_base.is_right, 2 * names.classes, bootstrap),
    )


def _difference(
    ours: Sequence[bool], theirs: Sequence[bool], classes: Sequence[str], bootstrap: Bootstrap
) -> Interval:
    return mean_interval(_minus(ours, theirs), classes, bootstrap)


def _minus(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [float(a) - float(b) for a, b in zip(ours, theirs, strict=True)]
