"""The judgement on each completion of a file of rows, under the two protocols.

shuffled   the headline: the one answer in tags equals the truth after normalisation
paper      the released evaluator's rules, row by row (finer1/evaluation/released_rules.py)

Shuffling is done when questions are asked; here options are taken as they stand.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from finer1.evaluation.answers import is_exact, same_name
from finer1.evaluation.reading import is_name, names_several, offered_answer, read_completion
from finer1.evaluation.released_rules import (
    CAR,
    is_released_closed,
    is_released_open,
    released_answer,
    released_output,
)
from finer1.evaluation.scored_file import ScoredRow
from finer1.prompts import Completion
from finer1.records import Setting
from finer1.reference.classes import released_classes

if TYPE_CHECKING:
    from finer1.evaluation.similarity import Similarity

Protocol = Literal["paper", "shuffled"]
Labels = dict[str, tuple[str, ...]]
"""Dataset (empty where unknown) -> its sub-categories as far as they are known, sorted."""


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """What is true of one completion; small, so that 100,000 of them are."""

    label: str
    class_name: str
    """The label, unique over datasets."""
    dataset: str | None
    seen: bool | None
    is_exact: bool
    """Headline rule, by the truth or a further reference."""
    is_paper: bool
    """Released rule."""
    answer: str | None
    """Text of the one closed answer element; all of the completion where that is the answer."""
    is_answered: bool
    """There is an answer by the protocol's own reading; an empty one is none."""
    is_tagged: bool
    """The released format: think tags, answer tags, nothing else."""
    is_sectioned: bool
    """Our format: the four sections in the think tags as well."""
    is_hedged: bool
    """What the completion offers as its answer names two or more sub-categories."""
    truth_place: int | None
    """Place of the truth among the options, from 1."""
    answer_place: int | None
    """Place of the option that the answer equals after normalisation."""
    num_options: int
    """0 of an open question."""
    num_characters: int
    num_words: int


@dataclass(frozen=True)
class JudgedFile:
    """All rows of a file, judged, and with it what they scored by meaning."""

    setting: Setting
    protocol: Protocol
    rows: tuple[JudgedRow, ...]
    similarity: Mapping[Protocol, Sequence[float]]
    """Eq. 5 of each row under both protocols; empty when closed."""


def judge_file(
    rows: Sequence[ScoredRow], setting: Setting, protocol: Protocol, similarity: "Similarity | None"
) -> JudgedFile:
    """A judgement of each row; never raises, whatever the completions hold.

    similarity: for open questions; None leaves Eq. 5 out.
    """
    labels = known_labels(rows)
    judged = tuple(
        judge_row(row, setting, protocol, labels[row.found_dataset or ""]) for row in rows
    )
    if setting == "closed" or similarity is None:
        return JudgedFile(setting, protocol, judged, {})
    scores: dict[Protocol, Sequence[float]] = {
        "paper": paper_similarity(rows, similarity),
        "shuffled": headline_similarity(rows, similarity),
    }
    return JudgedFile(setting, protocol, judged, scores)


def known_labels(rows: Sequence[ScoredRow]) -> Labels:
    """The sub-categories of each dataset: those that rows ask about or offer, and the released."""
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[row.found_dataset or ""].update((row.ground_truth, *row.options))
    return {
        dataset: tuple(sorted(names | released_classes(dataset).keys()))
        for dataset, names in labels.items()
    }


def judge_row(
    row: ScoredRow, setting: Setting, protocol: Protocol, labels: tuple[str, ...]
) -> JudgedRow:
    """The judgement on one row; `labels` are the known names of its dataset."""
    text, is_paper = row.completion, protocol == "paper"
    completion = read_completion(text, row.answer_from)
    offered = _offered(row, setting, protocol)
    return JudgedRow(
        label=row.ground_truth,
        class_name=row.class_name,
        dataset=row.found_dataset,
        seen=row.found_seen,
        is_exact=_is_exact(row, setting, completion),
        is_paper=_is_paper(row, setting),
        answer=completion.answer,
        is_answered=bool(released_answer(text)) if is_paper else is_name(completion.answer),
        is_tagged=completion.is_tagged,
        is_sectioned=completion.is_sectioned,
        is_hedged=names_several(offered, labels),
        truth_place=row.options.index(row.ground_truth) + 1 if setting == "closed" else None,
        answer_place=_place(completion.answer, row) if setting == "closed" else None,
        num_options=len(row.options) if setting == "closed" else 0,
        num_characters=len(text),
        num_words=len(text.split()),
    )


def paper_similarity(rows: Sequence[ScoredRow], similarity: "Similarity") -> list[float]:
    """Eq. 5 by the released script: whole output without an answer, and its words."""
    return similarity.score(
        [released_output(row.completion) for row in rows],
        [row.ground_truth for row in rows],
        [row.paper_word for row in rows],
    )


def headline_similarity(rows: Sequence[ScoredRow], similarity: "Similarity") -> list[float]:
    """Eq. 5 with the category's own word; 0 without an answer; the best of several references."""
    answers, truths, words, owners = [], [], [], []
    for place, row in enumerate(rows):
        answer = read_completion(row.completion, row.answer_from).answer
        for truth in (row.ground_truth, *row.references):
            answers.append(answer)
            truths.append(truth)
            words.append(row.word)
            owners.append(place)
    best = [0.0] * len(rows)
    scores = similarity.score_answers(answers, truths, words)
    for place, score in zip(owners, scores, strict=True):
        best[place] = max(best[place], score)
    return best


def _is_exact(row: ScoredRow, setting: Setting, completion: Completion) -> bool:
    truths = (row.ground_truth, *row.references) if setting == "open" else (row.ground_truth,)
    return any(is_exact(completion, truth) for truth in truths)


def _is_paper(row: ScoredRow, setting: Setting) -> bool:
    if setting == "closed":
        return is_released_closed(row.completion, row.ground_truth)
    return is_released_open(row.completion, row.ground_truth, row.paper_word == CAR)


def _offered(row: ScoredRow, setting: Setting, protocol: Protocol) -> str:
    """What is searched for names; the released rule asks for tags, whatever the row says."""
    if protocol == "shuffled":
        return offered_answer(row.completion, row.answer_from)
    if setting == "open":
        return released_output(row.completion)
    return offered_answer(row.completion, "tags")


def _place(answer: str | None, row: ScoredRow) -> int | None:
    # The truth first, should another option have the same normal form.
    name = same_name(answer, (row.ground_truth, *row.options))
    return None if name is None else row.options.index(name) + 1
