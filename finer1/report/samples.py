"""Pictures on the page: answers of the three models, confusions, concepts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from finer1.draws import draw
from finer1.evaluation.metrics import CELLS, select, top_confusions
from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.prompts import answer_completion, parse_completion
from finer1.records import Concepts, Prediction, Question
from finer1.report.inputs import Inputs
from finer1.report.names import MODEL_NAMES
from finer1.report.pictures import Pictures

CONFUSIONS = 10
CONCEPT_CARDS = 6
REFERENCE_IMAGES = 2
LONGEST_TEXT = 1200
"""Characters of a section or raw completion shown."""


@dataclass(frozen=True)
class Reply:
    """What one model said to a question."""

    key: str
    name: str
    is_correct: bool
    verdict: str
    """In words, with the reason where the answer is wrong."""
    answer: str | None
    sections: tuple[tuple[str, str], ...]
    """(name, text); empty when the completion has no four sections."""
    raw: str
    """The completion where it has no sections and is more than the answer."""


@dataclass(frozen=True)
class Sample:
    """One question with the replies of all models."""

    picture: str
    question: Question
    replies: tuple[Reply, ...]


@dataclass(frozen=True)
class Confusion:
    """Two sub-categories of which one is answered for the other."""

    label: str
    answered: str
    times: int
    images: int
    """Questions about the label."""
    is_label_seen: bool
    is_answered_seen: bool
    label_pictures: tuple[str, ...]
    answered_pictures: tuple[str, ...]


@dataclass(frozen=True)
class ConceptCard:
    """An image with its selected visual concepts."""

    picture: str
    label: str
    caption: str
    concepts: tuple[tuple[str, float, float], ...]
    """(concept, score in nats, length of its bar in 0..1), best first."""


def choose_samples(inputs: Inputs, pictures: Pictures) -> list[Sample]:
    """`report.samples` questions on different images, drawn by seed, in turn from all cells."""
    pools = [
        sorted(
            select(inputs.verdicts[MODELS[0]], cell),
            key=lambda row: draw(inputs.params.seed, "report sample", row.question_id),
        )
        for cell in CELLS
    ]
    chosen: dict[str, str] = {}
    for row in chain.from_iterable(zip_longest(*pools)):
        if row is not None:
            chosen.setdefault(row.image_id, row.question_id)
    questions = {question.id: question for question in inputs.questions}
    verdicts = {(row.model, row.question_id): row for m in MODELS for row in inputs.verdicts[m]}
    return [
        Sample(
            pictures.uri(image_id),
            questions[key],
            tuple(_reply(verdicts[model, key], inputs.predictions[model][key]) for model in MODELS),
        )
        for image_id, key in list(chosen.items())[: inputs.params.report.samples]
    ]


def worst_confusions(
    inputs: Inputs, verdicts: Sequence[Verdict], pictures: Pictures
) -> list[Confusion]:
    """The sub-categories most often answered for another, with two images of each."""
    seen = {(row.image.category, row.image.label): row.seen for row in inputs.splits}
    return [
        Confusion(
            label=label,
            answered=answered,
            times=times,
            images=sum((row.category, row.label) == (category, label) for row in verdicts),
            is_label_seen=seen[category, label],
            is_answered_seen=seen[category, answered],
            label_pictures=_references(inputs, pictures, category, label),
            answered_pictures=_references(inputs, pictures, category, answered),
        )
        for (category, label, answered), times in top_confusions(verdicts, CONFUSIONS)
    ]


def choose_concepts(inputs: Inputs, pictures: Pictures) -> list[ConceptCard]:
    """Images with their visual concepts, drawn by seed."""
    seed = inputs.params.seed
    ranked = sorted(inputs.concepts, key=lambda row: draw(seed, "report concepts", row.image_id))
    return [
        ConceptCard(
            picture=pictures.uri(row.image_id),
            label=row.label,
            caption=_clip(row.captions[0]) if row.captions else "",
            concepts=_scaled(row),
        )
        for row in ranked[:CONCEPT_CARDS]
    ]


def _reply(verdict: Verdict, prediction: Prediction) -> Reply:
    sections = parse_completion(prediction.completion).sections
    is_bare = prediction.completion.strip() == answer_completion(verdict.answer or "")
    return Reply(
        key=verdict.model,
        name=MODEL_NAMES[verdict.model],
        is_correct=verdict.is_correct,
        verdict="right" if verdict.is_correct else _reason(verdict),
        answer=verdict.answer,
        sections=tuple((name, _clip(text)) for name, text in sections.items()),
        raw="" if sections or is_bare else _clip(prediction.completion),
    )


def _reason(verdict: Verdict) -> str:
    if verdict.answer is None:
        cause = "cut off" if verdict.is_cut_off else "no single closed answer"
        return f"wrong: {cause}"
    if verdict.is_hedged:
        return "wrong: several names"
    if verdict.named is None:
        return "wrong: not one of the sub-categories"
    return "wrong"


def _references(inputs: Inputs, pictures: Pictures, category: str, label: str) -> tuple[str, ...]:
    """Images of a sub-category from the evaluated part."""
    part = inputs.params.questions.part
    ids = [
        row.image.id
        for row in inputs.splits
        if (row.image.category, row.image.label, row.part) == (category, label, part)
    ]
    return tuple(pictures.uri(key) for key in ids[:REFERENCE_IMAGES])


def _scaled(row: Concepts) -> tuple[tuple[str, float, float], ...]:
    """Concepts with score and bar: scores may be negative, so the worst gets the shortest bar."""
    if not row.scores:
        return ()
    best, worst = max(row.scores), min(row.scores)
    spread = best - worst
    shares = [0.25 + 0.75 * (score - worst) / spread if spread else 1.0 for score in row.scores]
    return tuple(zip(row.concepts, row.scores, shares, strict=True))


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} [...]"
