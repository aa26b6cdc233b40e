"""Rejection sampling of the teacher's rationales, with the yield of each sub-category.

Samples are drawn one by one with a seed of their own, so that through the generation store a
changed filter generates nothing again: it only decides anew which known sample is the first to
pass. The released set lost 34 of 120 seen birds silently; here the yield is a result.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from finer1.data_params import CotParams
from finer1.draws import derive_seed, draw
from finer1.engines.interface import Request, Sample
from finer1.prompts import QUESTIONS, question
from finer1.records import ImageRecord, Rationale
from finer1.teacher.captions import ClassKey
from finer1.teacher.filters import Draft, judge
from finer1.teacher.prompts import rationale_prompt


@dataclass(frozen=True)
class Case:
    """One image to explain."""

    image: ImageRecord
    picture: Image.Image
    concepts: tuple[str, ...]


@dataclass
class ClassYield:
    """How the images of one sub-category fared."""

    asked: int = 0
    """Images."""
    kept: int = 0
    """Images with an accepted rationale."""
    samples: int = 0
    """Samples drawn; samples - kept were rejected."""
    rejected: Counter[str] = field(default_factory=Counter)
    """By reason."""


@dataclass(frozen=True)
class Reject:
    """A sample that did not pass, for a person to look at."""

    image_id: str
    reason: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What collect_rationales found."""

    rationales: list[Rationale]
    """In the order of the cases."""
    yields: dict[ClassKey, ClassYield]
    rejects: list[Reject]


def collect_rationales(
    cases: Sequence[Case],
    labels: Mapping[str, Sequence[str]],
    ask: Callable[[list[Request]], list[Sample]],
    teacher: str,
    settings: CotParams,
    seed: int,
) -> Outcome:
    """For each case the first of at most `max_attempts` samples that passes all filters.

    labels: category -> all its sub-categories. ask: one sample per request; called once per
    attempt, with all cases that are still without a rationale. teacher: its identity.
    """
    yields: dict[ClassKey, ClassYield] = defaultdict(ClassYield)
    for case in cases:
        yields[_key(case)].asked += 1
    known = {category: frozenset(names) for category, names in labels.items()}
    kept: dict[str, Rationale] = {}
    rejects = []
    missing = list(cases)
    for attempt in range(1, settings.max_attempts + 1):
        if not missing:
            break
        samples = ask([rationale_request(case, attempt, settings, seed) for case in missing])
        for case, sample in zip(missing, samples, strict=True):
            count = yields[_key(case)]
            count.samples += 1
            judgement = judge(sample.text, case.image.label, known[case.image.category], settings)
            if judgement.draft is not None:
                count.kept += 1
                kept[case.image.id] = _rationale(case, judgement.draft, attempt, teacher, seed)
            else:
                reason = str(judgement.reason)
                count.rejected[reason] += 1
                rejects.append(Reject(case.image.id, reason, sample.text))
        missing = [case for case in missing if case.image.id not in kept]
    ordered = [kept[case.image.id] for case in cases if case.image.id in kept]
    return Outcome(ordered, dict(sorted(yields.items())), rejects)


def rationale_request(case: Case, attempt: int, settings: CotParams, seed: int) -> Request:
    """The request for one sample; attempt, from 1, changes the seed alone."""
    image = case.image
    return Request(
        user=rationale_prompt(
            image.category,
            image.label,
            case.concepts,
            training_question(image, seed),
            settings.max_options,
        ),
        images=(case.picture,),
        image_hashes=(image.sha256,),
        seed=derive_seed(seed, "rationale", image.id, str(attempt)),
    )


def training_question(image: ImageRecord, seed: int) -> str:
    """The open question that this image's rationale answers, one of the ten wordings."""
    return question(image.category, draw(seed, "question", image.id) % len(QUESTIONS))


def _rationale(case: Case, draft: Draft, attempt: int, teacher: str, seed: int) -> Rationale:
    return Rationale(
        id=f"cot/{case.image.id}",
        image_id=case.image.id,
        category=case.image.category,
        label=case.image.label,
        question=training_question(case.image, seed),
        analysis=draft.sections["analysis"],
        options=draft.options,
        comparison=draft.sections["comparison"],
        prediction=draft.sections["prediction"],
        attempts=attempt,
        engine=teacher,
    )


def _key(case: Case) -> ClassKey:
    return case.image.category, case.image.label
