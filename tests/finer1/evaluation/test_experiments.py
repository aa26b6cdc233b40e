import pytest

from finer1.evaluation.experiments import Column, ExperimentRun, compare, summarise
from finer1.evaluation.statistics import Bootstrap

BOOTSTRAP = Bootstrap(samples=2000, confidence=0.95, seed=0)
SEEN = (Column("open", "seen", "accuracy"),)


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
    (summary,) = summarise([run("SFT", 1, True, False), run("SFT", 0, True, True)], SEEN, BOOTSTRAP)
    assert summary.seeds == (0, 1)
    assert summary.values == (1, 0.5)
    assert summary.pooled.value == 0.75


def test_difference_pairs_equal_seeds(run):
    runs = [
        run("SFT", 0, True, False), run("SFT", 1, False, False),
        run("TAPO", 0, True, True), run("TAPO", 1, True, True), run("TAPO", 2, True, True),
    ]  # fmt: skip
    (difference,) = compare(runs, [("TAPO", "SFT")], SEEN, BOOTSTRAP, 0.02)
    # Seed 0 gains one of two, seed 1 both; seed 2 has no partner.
    assert difference.seeds == (0, 1)
    assert difference.differences == (0.5, 1)


def test_resampling_seeds_widens_the_interval(run):
    runs = [
        run("SFT", 0, False, False), run("SFT", 1, True, True),
        run("TAPO", 0, True, True), run("TAPO", 1, True, True),
    ]  # fmt: skip
    (difference,) = compare(runs, [("TAPO", "SFT")], SEEN, BOOTSTRAP, 0.02)
    # Per class the gain is 1/2 in mean, at either; seed 0 gains 1, seed 1 gains 0.
    both = difference.decision.interval
    assert (both.low, both.high) == (0, 1)


def test_a_seed_without_questions_in_a_cell_is_left_out(run, verdict):
    closed = (verdict(answer="elm wren", setting="closed"),)
    runs = [
        ExperimentRun("A", 0, closed), run("A", 1, True, False),
        ExperimentRun("B", 0, closed), run("B", 1, True, True),
    ]  # fmt: skip
    columns = [Column(setting, "seen", "accuracy") for setting in ("open", "closed")]
    summaries = {
        s.column.setting: (s.seeds, s.values) for s in summarise(runs[:2], columns, BOOTSTRAP)
    }
    assert summaries == {"closed": ((0,), (1,)), "open": ((1,), (0.5,))}
    found = compare(runs, [("B", "A")], columns, BOOTSTRAP, 0.02)
    differences = {d.column.setting: (d.seeds, d.differences) for d in found}
    assert differences == {"closed": ((0,), (0,)), "open": ((1,), (0.5,))}


def test_experiments_without_a_common_seed_are_refused(run):
    with pytest.raises(ValueError, match="no seed in common"):
        compare(
            [run("A", 0, True, True), run("B", 1, True, True)], [("A", "B")], SEEN, BOOTSTRAP, 0.02
        )


def test_an_unknown_experiment_is_named(run):
    with pytest.raises(ValueError, match="no run of DAPO"):
        compare([run("A", 0, True, True)], [("A", "DAPO")], SEEN, BOOTSTRAP, 0.02)


def test_deviation_over_seeds_is_that_of_a_sample(run):
    runs = [
        run("SFT", 0, False, False), run("SFT", 1, True, False), run("SFT", 2, True, True),
        run("TAPO", 0, True, True),
    ]  # fmt: skip
    sft, tapo = summarise(runs, SEEN, BOOTSTRAP)
    # Accuracies 0, 1/2, 1: squares 1/4 + 0 + 1/4 over 3 - 1.
    assert sft.deviation == pytest.approx(0.5)
    assert tapo.deviation is None
    (difference,) = compare(runs, [("TAPO", "SFT")], SEEN, BOOTSTRAP, 0.02)
    assert difference.deviation is None  # one seed in common


def both_sides(verdict, seen, unseen, name="SFT", seed=0):
    """A run with one seen question per entry of `seen`, right or wrong, and so for unseen ones."""
    rows = [
        verdict(number=number, answer="elm wren" if right else "?", seen=side)
        for side, answers in ((True, seen), (False, unseen))
        for number, right in enumerate(answers)
    ]
    return ExperimentRun(name, seed, tuple(rows))


def test_an_average_weighs_both_sides_alike(verdict):
    column = Column("open", "average", "accuracy")
    # 1 of 4 seen and 1 of 1 unseen: (1/4 + 1) / 2, not 2 of 5.
    (summary,) = summarise([both_sides(verdict, [1, 0, 0, 0], [1])], [column], BOOTSTRAP)
    assert summary.values == (0.625,)
    assert summary.pooled.value == 0.625


def test_an_average_needs_both_sides(verdict):
    column = Column("open", "average", "accuracy")
    assert summarise([both_sides(verdict, [1], [])], [column], BOOTSTRAP) == []


def test_a_difference_of_averages_is_decided(verdict):
    column = Column("open", "average", "accuracy")
    runs = [
        both_sides(verdict, [1, 1], [1], "TAPO", seed) for seed in (0, 1)
    ] + [both_sides(verdict, [0, 1], [0], "SFT", seed) for seed in (0, 1)]  # fmt: skip
    (difference,) = compare(runs, [("TAPO", "SFT")], [column], BOOTSTRAP, 0.02)
    # Seen +1/2, unseen +1 at each seed.
    assert difference.differences == (0.75, 0.75)
    assert difference.decision.answer == "differs"
    assert difference.decision.num_classes == 2  # one of each side


def test_the_protocol_chooses_whose_rules_count(verdict):
    # Contained in the answer: right by the released rule alone.
    text = "<think>a</think><answer>the small elm wren</answer>"
    run = ExperimentRun("SFT", 0, (verdict(completion=text),))
    values = [
        summarise([run], [Column("open", "seen", "accuracy", rules)], BOOTSTRAP)[0].values
        for rules in ("shuffled", "paper")
    ]
    assert values == [(0,), (1,)]


def test_a_measure_that_was_not_taken_has_no_column(verdict):
    run = ExperimentRun("SFT", 0, (verdict(answer="elm wren"),))  # without similarity
    assert summarise([run], [Column("open", "seen", "similarity")], BOOTSTRAP) == []


def test_a_column_is_named_as_in_params():
    assert Column.parse("closed/average/accuracy").name == "closed/average/accuracy"
