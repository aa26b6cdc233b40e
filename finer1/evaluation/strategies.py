"""How a model is asked: the turns, the images and how the answer is read, per strategy.

trained      the question, of a closed one with its options, as the run's own models are trained
released     the templates of the release's evaluator
direct       for the name alone
cot          to think step by step and to answer in tags
think        to think in think tags and to answer in tags
in_context   for the name alone, after one training image per option that is a seen class

The system prompt of the settings goes with `trained`, whose models were trained under it; the
others send none.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from finer1.draws import draw
from finer1.evaluation_params import Strategy
from finer1.prompts import (
    WORDINGS,
    AnswerFrom,
    closed_question,
    direct_question,
    released_question,
)
from finer1.records import ClassKey, ImageRecord, Question, SplitRecord
from finer1.zoo.entry import OwnPrompts


@dataclass(frozen=True)
class Asked:
    """One question as a model is asked it."""

    strategy: Strategy
    system: str
    """Empty for no system turn."""
    user: str
    images: tuple[str, ...]
    """Ids; the examples first, the asked image last."""
    answer_from: AnswerFrom

    @property
    def prompt(self) -> str:
        """All of its text, as predictions record it."""
        return "\n\n".join(text for text in (self.system, self.user) if text)


class Examples:
    """Training images that show what seen sub-categories look like."""

    def __init__(self, splits: Iterable[SplitRecord], num_open: int, seed: int) -> None:
        """num_open: examples of an open question, at most."""
        images: dict[ClassKey, dict[str, ImageRecord]] = defaultdict(dict)
        for row in splits:
            if row.seen and row.part in ("sft", "tapo"):
                images[row.image.class_key][row.image.id] = row.image
        self._images: Mapping[ClassKey, Mapping[str, ImageRecord]] = images
        self._num_open = num_open
        self._seed = seed

    def of(self, question: Question) -> list[ImageRecord]:
        """An image of each option that is a seen class; of an open question of as many classes.

        Images, classes and their order are drawn by seed and question, and neither the truth nor
        the order of the options enters. An image is never an example for itself.
        """
        dataset = question.image_id.partition("/")[0]
        labels = question.options or self._drawn_labels(dataset, question)
        found = [
            min(shown, key=lambda image: draw(self._seed, "example image", question.id, image.id))
            for label in labels
            if (shown := self._shown((dataset, question.category, label), question.image_id))
        ]
        return sorted(
            found, key=lambda image: draw(self._seed, "example order", question.id, image.id)
        )

    def _drawn_labels(self, dataset: str, question: Question) -> list[str]:
        labels = [key[2] for key in self._images if key[:2] == (dataset, question.category)]
        labels.sort(key=lambda label: draw(self._seed, "example class", question.id, label))
        return labels[: self._num_open]

    def _shown(self, key: ClassKey, asked: str) -> list[ImageRecord]:
        return [image for image in self._images.get(key, {}).values() if image.id != asked]


def ask(
    question: Question,
    strategy: Strategy,
    system: str,
    own: OwnPrompts | None = None,
    own_answer: AnswerFrom = "tags",
    examples: Examples | None = None,
) -> Asked:
    """The question as `strategy` asks it.

    system: text of prompt.system, for `trained`. own, own_answer: the model's own templates, which
    `trained` uses in place of ours, and how they are answered. examples: for `in_context`, which
    raises ValueError without.
    """
    images: tuple[str, ...] = (question.image_id,)
    text = _with_options(question)
    if strategy == "trained" and own is not None:
        return Asked(strategy, own.system, own_text(question, own), images, own_answer)
    if strategy == "released":
        return Asked(
            strategy, "", released_question(question.text, question.options), images, "tags"
        )
    if strategy in WORDINGS:
        wording = WORDINGS[strategy]
        sent = system if wording.has_system else ""
        return Asked(strategy, sent, wording.turn(text), images, wording.answer_from)
    if examples is None:
        raise ValueError(
            "the strategy in_context needs training images, which this set of questions has not; "
            "choose trained, released, direct, cot or think"
        )
    shown = examples.of(question)
    images = (*(image.id for image in shown), question.image_id)
    user = f"{_captions([image.label for image in shown])}{direct_question(text)}"
    return Asked(strategy, "", user, images, "text")


def own_text(question: Question, own: OwnPrompts) -> str:
    """The user's turn by a model's own template."""
    template = own.open if question.setting == "open" else own.closed
    return template.format(
        question=question.text, options="; ".join(question.options), category=question.category
    )


def _with_options(question: Question) -> str:
    if question.setting == "open":
        return question.text
    return closed_question(question.text, question.options)


def _captions(labels: Sequence[str]) -> str:
    """Which picture shows what; empty without examples."""
    if not labels:
        return ""
    lines = [f"Picture {place} shows: {label}." for place, label in enumerate(labels, 1)]
    return "\n".join([*lines, f"The question is about picture {len(labels) + 1}.", ""])
