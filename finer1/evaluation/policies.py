"""Answerers that recognise nothing, and one that is right: what each metric gives them for it.

A number means something only as far as it tells these apart. Each writes the released format
around one answer made from the question as shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from finer1.draws import draw
from finer1.evaluation.file_verdicts import judge_file
from finer1.evaluation.options import order_options
from finer1.evaluation.scored_file import ScoredRow

if TYPE_CHECKING:
    from finer1.evaluation.similarity import Similarity

Policy = Callable[[ScoredRow, int], str]
"""The answer to a row, options in the order of the row; the number is a seed."""


def _random(row: ScoredRow, seed: int) -> str:
    return row.options[draw(seed, "policy", row.image_path, row.question) % len(row.options)]


POLICIES: Mapping[str, Policy] = {
    "the right option": lambda row, seed: row.ground_truth,
    "the first option": lambda row, seed: row.options[0],
    "a random option": _random,
    "all options, as a list": lambda row, seed: ", ".join(row.options),
    "the super-category": lambda row, seed: row.word,
    "the question, repeated": lambda row, seed: row.question,
}


@dataclass(frozen=True)
class PolicyScores:
    """What one policy scores over all rows; shares in 0..1.

    An open question shows no options. The open numbers are those of the same answers, as if the
    policy had been told the options.
    """

    name: str
    closed_paper: float
    """Released rule, options as stored."""
    closed_stored: float
    """Headline rule, options as stored."""
    closed_shuffled: float
    """Headline rule, options in seeded order: the headline number."""
    open_paper: float
    open_exact: float
    similarity_paper: float
    similarity: float
    """Eq. 5, headline."""
    format_rate: float
    hedge_rate: float


def score_policies(
    rows: Sequence[ScoredRow], seed: int, similarity: "Similarity"
) -> list[PolicyScores]:
    """What every policy scores on the rows, whose completions do not count.

    seed: of the shuffled options and of the random answers.
    """
    shuffled = [
        replace(row, options=order_options(row.options, row.image_path, seed)) for row in rows
    ]
    return [_scores(name, rows, shuffled, seed, similarity) for name in POLICIES]


def answered(rows: Sequence[ScoredRow], policy: Policy, seed: int) -> list[ScoredRow]:
    """The rows with the completions of a policy."""
    return [replace(row, completion=_completion(row, policy(row, seed))) for row in rows]


def _completion(row: ScoredRow, answer: str) -> str:
    return f"<think>{row.question}</think><answer>{answer}</answer>"


def _scores(
    name: str,
    stored: Sequence[ScoredRow],
    shuffled: Sequence[ScoredRow],
    seed: int,
    similarity: "Similarity",
) -> PolicyScores:
    as_stored = answered(stored, POLICIES[name], seed)
    closed = judge_file(as_stored, "closed", "paper", None)
    opened = judge_file(as_stored, "open", "paper", similarity)
    headline = judge_file(answered(shuffled, POLICIES[name], seed), "closed", "shuffled", None)
    return PolicyScores(
        name=name,
        closed_paper=fmean(row.is_paper for row in closed.rows),
        closed_stored=fmean(row.is_exact for row in closed.rows),
        closed_shuffled=fmean(row.is_exact for row in headline.rows),
        open_paper=fmean(row.is_paper for row in opened.rows),
        open_exact=fmean(row.is_exact for row in opened.rows),
        similarity_paper=fmean(opened.similarity["paper"]),
        similarity=fmean(opened.similarity["shuffled"]),
        format_rate=fmean(row.is_tagged for row in headline.rows),
        hedge_rate=fmean(row.is_hedged for row in headline.rows),
    )
