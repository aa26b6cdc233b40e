"""How the questions of a set are put to a model, and what becomes of its completions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import Formatter

from finer1.evaluation.options import order_options
from finer1.evaluation.strategies import Asked, ask
from finer1.evaluation_params import Strategy
from finer1.prompts import parse_completion
from finer1.question_sets.interface import SetQuestion
from finer1.records import ImageRecord, Prediction, Question
from finer1.zoo.entry import OwnPrompts
from finer1.zoo.loading import AskedModel, check_strategy


@dataclass(frozen=True)
class Answered:
    """A question, as it was asked, with what the model wrote."""

    question: SetQuestion
    """Its options in the order shown."""
    prediction: Prediction

    @property
    def is_describing(self) -> bool:
        """True when a caption is the reference."""
        return self.question.kind == "describe"

    @property
    def description(self) -> str:
        """What the model described: its answer, or all of a completion without one."""
        return parse_completion(self.prediction.completion).answer or self.prediction.completion

    def row(self) -> dict[str, object]:
        """A line of the output, which `finer1 score` takes unless it describes."""
        item, made = self.question, self.prediction
        truths = {"captions": item.references}
        if not self.is_describing:
            truths = {"ground_truth": item.references[:1], "references": item.references[1:]}
        return {
            "id": item.id,
            "image_path": item.images[0],
            **({"images": item.images} if len(item.images) > 1 else {}),
            "question": item.text,
            "options": item.options,
            **{key: value[0] if key == "ground_truth" else value for key, value in truths.items()},
            "category": item.category,
            "model": made.model,
            "identity": made.identity,
            "strategy": made.strategy,
            "answer_from": made.answer_from,
            "prompt": made.prompt,
            "completion": made.completion,
            "num_tokens": made.num_tokens,
            "finish_reason": made.finish_reason,
        }


def shuffled(questions: Sequence[SetQuestion], seed: int) -> list[SetQuestion]:
    """The questions, the options of each in an order drawn by seed and id, as in every run."""
    return [replace(item, options=order_options(item.options, item.id, seed)) for item in questions]


def ask_questions(
    questions: Sequence[SetQuestion], strategy: Strategy, system: str, model: AskedModel
) -> dict[str, Asked]:
    """How each question is asked, by id.

    system: text of prompt.system, which goes with the strategy `trained`. What is to be described
    is asked as it stands, whatever the strategy, and all of the completion is the description.
    Raises ValueError for in_context, which needs training images, as check_strategy, and where a
    template of the model's own would leave out the set's questions.
    """
    if any(item.kind != "describe" for item in questions):
        check_strategy(model, strategy)
    if strategy == "trained" and model.prompts is not None:
        _check_own(questions, model.prompts, model)
    asked = {}
    for item in questions:
        if item.kind == "describe":
            one = Asked(strategy, "", item.text, item.images, "text")
        else:
            one = ask(as_question(item), strategy, system, model.prompts, model.answer_from)
        asked[item.id] = replace(one, images=item.images)
    return asked


def _check_own(questions: Sequence[SetQuestion], own: OwnPrompts, model: AskedModel) -> None:
    kinds = {item.kind for item in questions}
    for name, template in (("open", own.open), ("closed", own.closed)):
        fields = [field for _, field, _, _ in Formatter().parse(template)]
        if name in kinds and "question" not in fields:
            raise ValueError(
                f"{model.path}: the template `{name}` has no {{question}}, so that the strategy "
                "trained would leave out the set's own questions; choose released, direct, cot or "
                "think"
            )


def image_records(
    questions: Sequence[SetQuestion], hashes: Mapping[str, str]
) -> dict[str, ImageRecord]:
    """A record of the first image of each question, by its name, as CLIP models take them.

    hashes: SHA-256 of the image files by name.
    """
    return {
        item.images[0]: ImageRecord(
            id=item.images[0],
            dataset="",
            category=item.category,
            label=item.references[0],
            group=None,
            sha256=hashes[item.images[0]],
            phash="0" * 16,
            official="test",
        )
        for item in questions
    }


def as_question(item: SetQuestion) -> Question:
    """The question as one of a run; of unseen, since nothing is trained on it."""
    return Question(
        id=item.id,
        image_id=item.images[0],
        category=item.category,
        label=item.references[0],
        seen=False,
        setting="closed" if item.options else "open",
        text=item.text,
        options=item.options,
        source="set" if item.options else "open",
    )
