"""The verdict on one completion: every per-question fact from which metrics are counted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from finer1.evaluation.answers import (
    index_names,
    is_exact,
    normalise,
    same_name,
)
from finer1.evaluation.reading import names_several, offered_answer, read_completion
from finer1.evaluation.released_rules import CAR, is_released_closed, is_released_open
from finer1.evaluation.votes import Vote, count_votes
from finer1.evaluation_params import OWN_MODELS
from finer1.prompts import Completion, split_options
from finer1.records import Prediction, Question, Setting, row

MODELS = OWN_MODELS
"""The models that a run evaluates, in the order of its stages."""


@row
class Verdict:
    """What is true of one model's completion for one question."""

    question_id: str
    image_id: str
    model: str
    dataset: str
    category: str
    label: str
    seen: bool
    setting: Setting
    is_correct: bool
    """Strict: exactly one closed answer element, equal to the label after normalisation."""
    is_correct_paper: bool
    """By the rule of the released evaluator (finer1/evaluation/released_rules.py)."""
    is_tagged: bool
    """The released format: think tags, answer tags, nothing else."""
    is_formatted: bool
    """Our format: the four sections, in order, in the think tags as well."""
    is_hedged: bool
    """The answer, or several of them together, names two or more sub-categories."""
    is_truth_among_options: bool
    """The rationale's options section lists the label; false without sections."""
    is_answer_predicted: bool
    """The answer equals the rationale's prediction section; false without sections."""
    is_cut_off: bool
    """The completion ended because it was too long."""
    answer: str | None
    """Text of the one closed answer; where the model was asked for the name alone, its whole
    output."""
    named: str | None
    """The sub-category of the category that the answer is, after normalisation."""
    truth_position: int | None
    """Place of the label among a closed question's options, from 1."""
    answer_position: int | None
    """Place of the answer among them; None when it is none of them."""
    num_options: int
    """0 of an open question."""
    num_tokens: int
    similarity: float | None = None
    """Eq. 5 with the category's own word, 0 without an answer; None when closed, or not asked."""
    similarity_paper: float | None = None
    """Eq. 5 as released: the whole output without an answer, `object` for most categories."""
    vote_share: float | None = None
    """Share of the sampled completions that give the most frequent answer; None without votes."""
    is_vote_correct: bool | None = None
    """That answer is strictly correct."""


@dataclass(frozen=True)
class AnswerSimilarity:
    """Both similarities of one open answer (finer1/evaluation/similarity.py computes them)."""

    headline: float
    paper: float


def judge_model(
    questions: Sequence[Question],
    predictions: Sequence[Prediction],
    source: str,
    similarities: Mapping[str, AnswerSimilarity] | None = None,
    may_skip_setting: bool = False,
) -> list[Verdict]:
    """A verdict per question, in the order of `questions`; `source` names the predictions' file.

    similarities: those of open answers, by question. may_skip_setting: the model may have answered
    the questions of one setting alone, which then are all that is judged.
    Raises ValueError when the predictions are not exactly one per question: a score over a part
    of the questions could not be compared with any other.
    """
    by_id = {prediction.question_id: prediction for prediction in predictions}
    if may_skip_setting and predictions:
        answered = {question.setting for question in questions if question.id in by_id}
        questions = [question for question in questions if question.setting in answered]
    missing = [question.id for question in questions if question.id not in by_id]
    surplus = len(predictions) - (len(questions) - len(missing))
    if missing or surplus:
        raise ValueError(
            f"{source}: {len(missing)} questions have no prediction (first: "
            f"{missing[0] if missing else 'none'}) and {surplus} predictions have no question of "
            "their own; run predict again on these questions"
        )
    labels = category_labels(questions)
    scores = similarities or {}
    return [
        _judge(item, by_id[item.id], labels[item.category], scores.get(item.id))
        for item in questions
    ]


def category_labels(questions: Iterable[Question]) -> dict[str, tuple[str, ...]]:
    """Category -> every sub-category that a question asks about or offers, sorted."""
    labels: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        labels[question.category].update((question.label, *question.options))
    return {category: tuple(sorted(names)) for category, names in labels.items()}


def judge(question: Question, prediction: Prediction, labels: Sequence[str]) -> Verdict:
    """The verdict on one prediction; `labels` are the sub-categories of the question's category.

    Without similarity, which is computed for many at once. Never raises, whatever the completion
    holds.
    """
    return _judge(question, prediction, tuple(labels), None)


def given_answer(prediction: Prediction) -> str | None:
    """What Verdict.answer is."""
    return read_completion(prediction.completion, prediction.answer_from).answer


def dataset_of(question: Question) -> str:
    """The dataset, which an image's id begins with."""
    return question.image_id.partition("/")[0]


def _judge(
    question: Question,
    prediction: Prediction,
    labels: tuple[str, ...],
    similarity: AnswerSimilarity | None,
) -> Verdict:
    text, answer_from = prediction.completion, prediction.answer_from
    completion = read_completion(text, answer_from)
    answer = completion.answer
    vote = _vote(question, prediction)
    return Verdict(
        question_id=question.id,
        image_id=question.image_id,
        model=prediction.model,
        dataset=dataset_of(question),
        category=question.category,
        label=question.label,
        seen=question.seen,
        setting=question.setting,
        is_correct=is_exact(completion, question.label),
        is_correct_paper=_is_correct_paper(question, text),
        is_tagged=completion.is_tagged,
        is_formatted=completion.is_sectioned,
        is_hedged=names_several(offered_answer(text, answer_from), labels),
        is_truth_among_options=_has_truth(completion.sections, question.label),
        is_answer_predicted=_is_predicted(completion),
        is_cut_off=prediction.finish_reason == "length",
        answer=answer,
        named=None if answer is None else index_names(labels).by_name.get(normalise(answer)),
        truth_position=_position(question.label, question.options),
        answer_position=_position(same_name(answer, question.options), question.options),
        num_options=len(question.options),
        num_tokens=prediction.num_tokens,
        similarity=similarity.headline if similarity else None,
        similarity_paper=similarity.paper if similarity else None,
        vote_share=vote.share if vote else None,
        is_vote_correct=vote.is_answer(question.label) if vote else None,
    )


def _vote(question: Question, prediction: Prediction) -> Vote | None:
    if not prediction.votes:
        return None
    texts = prediction.votes
    return count_votes([read_completion(text, prediction.answer_from).answer for text in texts])


def _is_correct_paper(question: Question, text: str) -> bool:
    if question.setting == "closed":
        return is_released_closed(text, question.label)
    return is_released_open(text, question.label, dataset_of(question) == CAR)


def _has_truth(sections: Mapping[str, str], label: str) -> bool:
    return same_name(label, split_options(sections.get("options", ""))) is not None


def _is_predicted(completion: Completion) -> bool:
    prediction = completion.sections.get("prediction")
    return prediction is not None and same_name(completion.answer, (prediction,)) is not None


def _position(name: str | None, options: Sequence[str]) -> int | None:
    return options.index(name) + 1 if name in options else None
