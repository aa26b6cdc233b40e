"""Relative semantic similarity of an open answer to the truth (Eq. 5 of Fine-R1).

    max(0, (sim(c, c*) - sim(s, c*)) / (1 - sim(s, c*)))

c is the answer, c* the truth, s the word of the super-category, sim the cosine of the texts'
embeddings: naming the super-category is worth 0, naming the sub-category 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finer1.encoders.texts import Matrix, TextEncoder, load_text_encoder
from finer1.evaluation.answers import normalise
from finer1.evaluation.reading import is_name
from finer1.evaluation.released_rules import released_dataset_word, released_output
from finer1.evaluation.verdicts import AnswerSimilarity, dataset_of, given_answer
from finer1.records import Prediction, Question

_SAME = 1e-6
"""Cosines that differ from 1 by less are of one text: the rounding of a unit vector."""
_CHUNK = 2048
"""Texts whose embeddings are held at once."""
_HASH_DIGITS = 12

Pair = tuple[str, str]
"""A text and the truth it is compared with."""


def relative_similarity(sim_answer: float, sim_word: float) -> float:
    """Eq. 5 from the two cosines with the truth; in 0..1.

    Where the truth is the word itself, which leaves Eq. 5 undefined, the answer must be it as well.
    """
    if sim_word >= 1 - _SAME:
        return float(sim_answer >= 1 - _SAME)
    return min(1.0, max(0.0, (sim_answer - sim_word) / (1 - sim_word)))


@dataclass(frozen=True)
class Similarity:
    """Eq. 5 with one text encoder."""

    encoder: TextEncoder

    @property
    def name(self) -> str:
        """The encoder with the hash of its content, for people and files."""
        note = "spelling alone, " if self.encoder.is_spelling else ""
        identity = self.encoder.identity
        content = identity if "@" in identity else f"sha256 {identity[:_HASH_DIGITS]}"
        return f"{self.encoder.name} ({note}{content})"

    def score(
        self, answers: Sequence[str], truths: Sequence[str], words: Sequence[str]
    ) -> list[float]:
        """Eq. 5 of each answer, texts taken as they are; each distinct pair is computed once."""
        answer_pairs = list(zip(answers, truths, strict=True))
        word_pairs = list(zip(words, truths, strict=True))
        cosines = self._cosines([*answer_pairs, *word_pairs])
        return [
            relative_similarity(cosines[answer], cosines[word])
            for answer, word in zip(answer_pairs, word_pairs, strict=True)
        ]

    def score_answers(
        self, answers: Sequence[str | None], truths: Sequence[str], words: Sequence[str]
    ) -> list[float]:
        """The headline number: no answer is 0, and all three texts are normalised as elsewhere.

        So an answer that is strictly right has 1, whatever its case, hyphens or articles. One that
        normalisation leaves nothing of (`?`) is none.
        """
        rows = list(zip(answers, truths, words, strict=True))
        given = [
            (normalise(answer or ""), normalise(truth), normalise(word))
            for answer, truth, word in rows
            if is_name(answer)
        ]
        scores = iter(self.score(*zip(*given, strict=True)) if given else ())
        return [next(scores) if is_name(answer) else 0.0 for answer in answers]

    def _cosines(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """The cosine of each distinct pair; the few truths stay in memory, the texts do not."""
        by_text: dict[str, list[str]] = {}
        for text, truth in dict.fromkeys(pairs):
            by_text.setdefault(text, []).append(truth)
        truths = list(dict.fromkeys(truth for _, truth in pairs))
        rows = dict(zip(truths, self._encode(truths), strict=True))
        cosines: dict[Pair, float] = {}
        # Of like length, since padding costs as much as text.
        texts = sorted(by_text, key=lambda text: (len(text), text))
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            for text, row in zip(chunk, self._encode(chunk), strict=True):
                for truth in by_text[text]:
                    cosines[text, truth] = float(row @ rows[truth])
        return cosines

    def _encode(self, texts: Sequence[str]) -> Matrix:
        # A lone surrogate, which a model's output may hold, is no text to a tokenizer.
        clean = [text.encode(errors="replace").decode() for text in texts]
        return self.encoder.encode(clean) if clean else np.zeros((0, 1))


def load_similarity(name: str, home: Path, device: str) -> Similarity:
    """The similarity with the text encoder of that name (finer1/encoders/texts.py)."""
    return Similarity(load_text_encoder(name, home, device))


def answer_similarities(
    questions: Iterable[Question], predictions: Iterable[Prediction], similarity: Similarity
) -> dict[str, AnswerSimilarity]:
    """Both similarities of every open question that has a prediction, by question id.

    Headline: with the category's own word, and 0 without an answer. Paper: the answer by the
    released rule, or the whole output, with the released word.
    """
    by_id = {prediction.question_id: prediction for prediction in predictions}
    asked = [item for item in questions if item.setting == "open" and item.id in by_id]
    truths = [question.label for question in asked]
    headline = similarity.score_answers(
        [given_answer(by_id[question.id]) for question in asked],
        truths,
        [question.category for question in asked],
    )
    paper = similarity.score(
        [released_output(by_id[question.id].completion) for question in asked],
        truths,
        [released_dataset_word(dataset_of(question)) for question in asked],
    )
    return {
        question.id: AnswerSimilarity(*scores)
        for question, *scores in zip(asked, headline, paper, strict=True)
    }
