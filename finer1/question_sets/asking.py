"""How the questions of a set are put to a model, and what becomes of its completions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finer1.evaluation.clip import STRATEGY, choose_options
from finer1.evaluation.options import order_options
from finer1.evaluation.strategies import Asked, ask
from finer1.evaluation_params import Strategy
from finer1.prompts import answer_completion, parse_completion
from finer1.question_sets.interface import SetQuestion
from finer1.records import ImageRecord, Prediction, Question
from finer1.zoo.loading import AskedModel

if TYPE_CHECKING:
    from torch import Tensor

    from finer1.encoders.interface import TextImageEncoder

Embed = Callable[["TextImageEncoder", Sequence[ImageRecord]], "Tensor"]


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
    def scored_text(self) -> str:
        """The completion; in answer tags where all of a completion without any is the answer."""
        text = self.prediction.completion
        is_whole = self.prediction.answer_from == "text" and parse_completion(text).answer is None
        return answer_completion(text.strip()) if is_whole else text

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
    Raises ValueError for in_context, which needs training images.
    """
    asked = {}
    for item in questions:
        how: Strategy = "trained" if item.kind == "describe" else strategy
        one = ask(_as_question(item), how, system, model.prompts, model.answer_from)
        if item.kind == "describe":
            one = replace(one, answer_from="text")
        asked[item.id] = replace(one, images=item.images)
    return asked


def choose_closed(
    name: str,
    questions: Sequence[SetQuestion],
    hashes: Mapping[str, str],
    encoder: "TextImageEncoder",
    embed: Embed,
    templates: Sequence[str],
) -> list[Prediction]:
    """The options that a CLIP model chooses, by the first image of each question.

    hashes: SHA-256 of the image files by name.
    """
    images = {
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
    asked = [_as_question(item) for item in questions]
    chosen = choose_options(asked, images, encoder, embed, templates)
    more = f" and {len(templates) - 1} more" if len(templates) > 1 else ""
    return [
        Prediction(
            question_id=item.id,
            model=name,
            identity=f"{encoder.name}@{encoder.sha256}",
            prompt=f"{templates[0]}{more}",
            completion=answer_completion(option),
            num_tokens=0,
            finish_reason="stop",
            strategy=STRATEGY,
        )
        for item, option in zip(questions, chosen, strict=True)
    ]


def _as_question(item: SetQuestion) -> Question:
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
