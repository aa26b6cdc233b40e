import pytest

from finer1.evaluation.experiments import ExperimentRun, compare, summarise
from finer1.evaluation.statistics import Bootstrap

BOOTSTRAP = Bootstrap(samples=2000, confidence=0.95, seed=0)


@pytest.fixture
def run(verdict):
    """A run whose two questions, on two classes, are right as given."""

    def make(name, seed, first, second):
        rows = (
            verdict(answer="elm wren" if first else "?", label="elm wren"),
            verdict(answer="oak wren" if second else "?", label="oak wren"),
        )
        return ExperimentRun(name, seed, rows)

    return make


def test_summary_holds_every_seed_and_the_mean(run):
    (summary,) = summarise([run("SFT", 1, True, False), run("SFT", 0, True, True)], BOOTSTRAP)
    assert summary.seeds == (0, 1)
    assert summary.accuracies == (1, 0.5)
    assert summary.pooled.value == 0.75


def test_difference_pairs_equal_seeds(run):
    runs = [
        run("SFT", 0, True, False), run("SFT", 1, False, False),
        run("TAPO", 0, True, True), run("TAPO", 1, True, True), run("TAPO", 2, True, True),
    ]  # fmt: skip
    (difference,) = compare(runs, [("TAPO", "SFT")], BOOTSTRAP)
    # Seed 0 gains one of two, seed 1 both; seed 2 has no partner.
    assert difference.seeds == (0, 1)
    assert difference.differences == (0.5, 1)
    assert difference.over_classes.value == 0.75


def test_resampling_seeds_widens_the_interval(run):
    runs = [
        run("SFT", 0, False, False), run("SFT", 1, True, True),
        run("TAPO", 0, True, True), run("TAPO", 1, True, True),
    ]  # fmt: skip
    (difference,) = compare(runs, [("TAPO", "SFT")], BOOTSTRAP)
    # Per class the gain is 1/2 in mean; seed 0 gains 1, seed 1 gains 0.
    assert (difference.over_classes.low, difference.over_classes.high) == (0.5, 0.5)
    both = difference.over_classes_and_seeds
    assert (both.low, both.high) == (0, 1)


def test_a_seed_without_questions_in_a_cell_is_left_out(run, verdict):
    closed = (verdict(answer="elm wren", setting="closed"),)
    runs = [
        ExperimentRun("A", 0, closed), run("A", 1, True, False),
        ExperimentRun("B", 0, closed), run("B", 1, True, True),
    ]  # fmt: skip
    summaries = {s.cell: (s.seeds, s.accuracies) for s in summarise(runs[:2], BOOTSTRAP)}
    assert summaries == {("closed", "seen"): ((0,), (1,)), ("open", "seen"): ((1,), (0.5,))}
    differences = {d.cell: (d.seeds, d.differences) for d in compare(runs, [("B", "A")], BOOTSTRAP)}
    assert differences == {("closed", "seen"): ((0,), (0,)), ("open", "seen"): ((1,), (0.5,))}


def test_experiments_without_a_common_seed_are_refused(run):
    with pytest.raises(ValueError, match="no seed in common"):
        compare([run("A", 0, True, True), run("B", 1, True, True)], [("A", "B")], BOOTSTRAP)


def test_an_unknown_experiment_is_named(run):
    with pytest.raises(ValueError, match="no run of DAPO"):
        compare([run("A", 0, True, True)], [("A", "DAPO")], BOOTSTRAP)


def test_deviation_over_seeds_is_that_of_a_sample(run):
    runs = [
        run("SFT", 0, False, False), run("SFT", 1, True, False), run("SFT", 2, True, True),
        run("TAPO", 0, True, True),
    ]  # fmt: skip
    sft, tapo = summarise(runs, BOOTSTRAP)
    # Accuracies 0, 1/2, 1: squares 1/4 + 0 + 1/4 over 3 - 1.
    assert sft.deviation == pytest.approx(0.5)
    assert tapo.deviation is None
    (difference,) = compare(runs, [("TAPO", "SFT")], BOOTSTRAP)
    assert difference.deviation is None  # one seed in common
