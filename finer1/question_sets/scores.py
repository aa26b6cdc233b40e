"""What the answers to a question set score.

Open and closed ones by the rules of `finer1 score` (finer1/evaluation/file_scores.py); in open ones
any of several references counts. Inclusion here is a rule of ours: the answer, or all of a
completion without one, holds a reference as whole words, while the released rule takes any piece of
a word. Descriptions by the cosine of their text and the caption's, the best of several captions: a
text encoder's view of them, not a judge's.
"""

import re
from collections.abc import Sequence
from statistics import fmean

from finer1.evaluation.answers import normalise
from finer1.evaluation.file_scores import score_file
from finer1.evaluation.file_verdicts import judge_file
from finer1.evaluation.released_rules import released_output
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.similarity import Similarity
from finer1.evaluation.statistics import Bootstrap, mean_interval
from finer1.question_sets.asking import Answered
from finer1.question_sets.interface import KINDS, OTHER_CATEGORY
from finer1.records import Setting

_IN_WORD = r"[^\W\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
"""What a name may not touch. Thai, Lao, kana and Chinese write no spaces between words: there a
name may stand anywhere."""


def score_set(
    answered: Sequence[Answered], similarity: Similarity, bootstrap: Bootstrap
) -> dict[str, dict[str, object]]:
    """Kind of question -> its numbers; shares and similarities in 0..1."""
    scores: dict[str, dict[str, object]] = {}
    for kind in KINDS:
        items = [item for item in answered if item.question.kind == kind]
        if not items:
            continue
        if kind == "describe":
            scores[kind] = _descriptions(items, similarity, bootstrap)
        else:
            scores[kind] = _names(items, kind, similarity, bootstrap)
        tokens = [item.prediction.num_tokens for item in items]
        scores[kind]["completion_tokens_mean"] = fmean(tokens)
    return scores


def _names(
    items: Sequence[Answered], setting: Setting, similarity: Similarity, bootstrap: Bootstrap
) -> dict[str, object]:
    rows = [_scored_row(item) for item in items]
    judged = judge_file(rows, setting, "shuffled", similarity if setting == "open" else None)
    scores = score_file(judged, bootstrap, None)
    del scores["groups"]
    if setting == "open":
        included = [
            float(names_any(item.prediction.completion, item.question.references)) for item in items
        ]
        found = mean_interval(included, [row.class_name for row in rows], bootstrap)
        scores |= {
            "inclusion": found.value,
            "inclusion_low": found.low,
            "inclusion_high": found.high,
        }
    return scores


def names_any(completion: str, references: Sequence[str]) -> bool:
    """True when the answer, or all of a completion without one, holds a reference as whole words.

    Both in normal form.
    """
    text = normalise(released_output(completion))
    names = "|".join(re.escape(name) for name in map(normalise, references) if name)
    return bool(names) and bool(re.search(rf"(?<!{_IN_WORD})(?:{names})(?!{_IN_WORD})", text))


def _scored_row(item: Answered) -> ScoredRow:
    question = item.question
    return ScoredRow(
        image_path=question.images[0],
        question=question.text,
        ground_truth=question.references[0],
        completion=item.prediction.completion,
        options=question.options,
        category=question.category or OTHER_CATEGORY,
        references=question.references[1:],
        answer_from=item.prediction.answer_from,
    )


def _descriptions(
    items: Sequence[Answered], similarity: Similarity, bootstrap: Bootstrap
) -> dict[str, object]:
    values = []
    for item in items:
        rows = similarity.encoder.encode([item.description, *item.question.references])
        values.append(max(float(rows[0] @ row) for row in rows[1:]))
    # Captions differ from image to image: each is a class of its own.
    found = mean_interval(values, [item.question.id for item in items], bootstrap)
    return {
        "n": len(items),
        "caption_similarity": found.value,
        "caption_similarity_low": found.low,
        "caption_similarity_high": found.high,
    }
