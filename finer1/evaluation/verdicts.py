"""The verdict on one completion: every per-question fact from which metrics are counted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from finer1.evaluation.answers import is_exact, is_included, named_labels, normalise
from finer1.prompts import Completion, parse_completion, split_options
from finer1.records import Prediction, Question, Setting, row

MODELS = ("base", "sft", "tapo")
"""The models that a run evaluates, in the order of its stages."""


@row
class Verdict:
    """What is true of one model's completion for one question."""

    question_id: str
    image_id: str
    model: str
    category: str
    label: str
    seen: bool
    setting: Setting
    is_correct: bool
    """Strict: exactly one closed answer element, equal to the label after normalisation."""
    is_correct_paper: bool
    """Released rule: the label is contained in the answer; open-world without a closed answer,
    in the whole output."""
    is_formatted: bool
    """Think and answer tags around all four sections, in order, and nothing else."""
    is_hedged: bool
    """The answer names two or more sub-categories."""
    is_truth_among_options: bool
    """The rationale's options section lists the label; false without sections."""
    is_answer_predicted: bool
    """The answer equals the rationale's prediction section; false without sections."""
    is_cut_off: bool
    """The completion ended because it was too long."""
    answer: str | None
    """Text of the one closed answer."""
    named: str | None
    """The sub-category of the category that the answer is, after normalisation."""
    truth_position: int | None
    """Place of the label among a closed question's options, from 1."""
    answer_position: int | None
    """Place of the answer among them; None when it is none of them."""
    num_tokens: int


def judge_model(
    questions: Sequence[Question], predictions: Sequence[Prediction], source: str
) -> list[Verdict]:
    """A verdict per question, in the order of `questions`; `source` names the predictions' file.

    Raises ValueError when the predictions are not exactly one per question: a score over a part
    of the questions could not be compared with any other.
    """
    by_id = {prediction.question_id: prediction for prediction in predictions}
    missing = [question.id for question in questions if question.id not in by_id]
    surplus = len(predictions) - (len(questions) - len(missing))
    if missing or surplus:
        raise ValueError(
            f"{source}: {len(missing)} questions have no prediction (first: "
            f"{missing[0] if missing else 'none'}) and {surplus} predictions have no question of "
            "their own; run predict again on these questions"
        )
    labels = category_labels(questions)
    return [judge(item, by_id[item.id], labels[item.category]) for item in questions]


def category_labels(questions: Iterable[Question]) -> dict[str, tuple[str, ...]]:
    """Category -> every sub-category that a question asks about or offers, sorted."""
    labels: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        labels[question.category].update((question.label, *question.options))
    return {category: tuple(sorted(names)) for category, names in labels.items()}


def judge(question: Question, prediction: Prediction, labels: Sequence[str]) -> Verdict:
    """The verdict on one prediction; `labels` are the sub-categories of the question's category.

    Never raises, whatever the completion holds.
    """
    completion = parse_completion(prediction.completion)
    answer = completion.answer
    named = _same_name(answer, labels)
    return Verdict(
        question_id=question.id,
        image_id=question.image_id,
        model=prediction.model,
        category=question.category,
        label=question.label,
        seen=question.seen,
        setting=question.setting,
        is_correct=is_exact(completion, question.label),
        is_correct_paper=_is_correct_paper(question, prediction.completion, completion),
        is_formatted=completion.is_sectioned,
        is_hedged=answer is not None and len(named_labels(answer, labels)) > 1,
        is_truth_among_options=_has_truth(completion.sections, question.label),
        is_answer_predicted=_is_predicted(completion),
        is_cut_off=prediction.finish_reason == "length",
        answer=answer,
        named=named,
        truth_position=_position(question.label, question.options),
        answer_position=_position(_same_name(answer, question.options), question.options),
        num_tokens=prediction.num_tokens,
    )


def _is_correct_paper(question: Question, text: str, completion: Completion) -> bool:
    if is_included(text, question.label):
        return True
    whole_output = question.setting == "open" and completion.answer is None
    return whole_output and question.label.lower() in text.lower()


def _has_truth(sections: Mapping[str, str], label: str) -> bool:
    return _same_name(label, split_options(sections.get("options", ""))) is not None


def _is_predicted(completion: Completion) -> bool:
    prediction = completion.sections.get("prediction")
    return prediction is not None and _same_name(completion.answer, (prediction,)) is not None


def _same_name(text: str | None, names: Sequence[str]) -> str | None:
    """The one of `names` that equals `text` after normalisation."""
    if text is None:
        return None
    return next((name for name in names if normalise(name) == normalise(text)), None)


def _position(name: str | None, options: Sequence[str]) -> int | None:
    return options.index(name) + 1 if name in options else None
