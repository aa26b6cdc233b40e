import pytest

from finer1.report.review import summarise_review
from finer1.teacher.decisions import REJECT_REASONS

NAMES = ("accepted", "edited", "rejected", "undecided")


def recorded(filtered, queued, **more):
    counts = dict(zip(NAMES, filtered, strict=True))
    counts |= {f"queued_{name}": n for name, n in zip(NAMES, queued, strict=True)}
    counts |= {f"reason_{name}": 0 for name in REJECT_REASONS}
    counts |= {"rationales": sum(filtered), "stale": 0, "stand_in": 0, **more}
    return {f"review/{name}": float(n) for name, n in counts.items()}


def test_review_that_is_off_is_not_told():
    assert summarise_review("pass", 0.95, {"review/rationales": 2}) is None


def test_counts_are_those_of_the_stage():
    summary = summarise_review("apply", 0.95, recorded((1, 2, 3, 4), (5, 6, 7, 8)))
    assert summary.rows == (("passed the filters", (1, 2, 3, 4)), ("from the queue", (5, 6, 7, 8)))


@pytest.mark.parametrize(
    ("undecided", "words"),
    [
        (0, "Of the 10 rationales that passed the filters, people judged all: 90.0 % were"),
        (5, "Of the 15 rationales that passed the filters, people judged 10, lowest yield first"),
    ],
)
def test_acceptance_comes_with_its_interval_and_its_sample(undecided, words):
    rate = {"acceptance": 0.9, "acceptance_low": 0.5958, "acceptance_high": 0.9821}
    figures = recorded((9, 0, 1, undecided), (0, 0, 0, 0), **rate)
    sentence = summarise_review("apply", 0.95, figures).sentences[0]
    assert sentence.startswith(words)
    assert sentence.endswith("accepted as written (95 % Wilson interval 59.6 to 98.2).")


def test_a_program_in_a_persons_place_is_told():
    rate = {"acceptance": 1.0, "acceptance_low": 0.3, "acceptance_high": 1.0}
    figures = recorded((4, 0, 0, 0), (0, 0, 0, 0), stand_in=3, **rate)
    sentence = summarise_review("apply", 0.95, figures).sentences[0]
    assert "people, and for 3 rationales a program that knows what was drawn" in sentence
    alone = recorded((4, 0, 0, 0), (0, 0, 0, 0), stand_in=4, **rate)
    sentence = summarise_review("apply", 0.95, alone).sentences[0]
    assert "filters, a program that knows what was drawn (review.stand_in) judged all" in sentence
    assert "people" not in sentence


def test_nothing_judged_has_no_rate():
    summary = summarise_review("apply", 0.95, recorded((0, 0, 0, 4), (0, 0, 0, 1)))
    assert summary.sentences == ("Nobody judged any of the 4 rationales that passed the filters.",)


def test_reasons_and_stale_decisions_are_told():
    figures = recorded((0, 0, 0, 4), (0, 0, 2, 0), reason_leak=2, stale=3)
    told = " ".join(summarise_review("apply", 0.95, figures).sentences)
    assert "Reasons given for rejects: speaks of a text that it was given (2)." in told
    assert "Decisions on 3 rationales whose text has changed since were not applied." in told
