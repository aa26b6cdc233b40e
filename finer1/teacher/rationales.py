"""Rejection sampling of the teacher's rationales, with the yield of each sub-category.

Samples are drawn one by one with a seed of their own, so that through the generation store a
changed filter generates nothing again: it only decides anew which known sample is the first to
pass. Not so with an engine that pads (transformers): its samples belong to their batch, so that
after the first call, where other images are missing now, the batches are made anew.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from finer1.data_params import CotParams, RungParams
from finer1.draws import derive_seed, draw
from finer1.engines.interface import Request, Sample
from finer1.progress import Progress
from finer1.prompts import (
    QUESTIONS,
    parse_sections,
    question,
    rationale_completion,
    split_options,
)
from finer1.records import ClassKey, ImageRecord, Queued, Rationale
from finer1.teacher.filters import barred_options, judge
from finer1.teacher.ladder import rungs
from finer1.teacher.prompts import rationale_prompt
from finer1.teacher.yields import ClassYield

_BY_HAND = "language"
"""The reason that a person can put right. It is the last one checked, so that a sample that falls
by it fails on nothing else, and may be queued."""


@dataclass(frozen=True)
class Case:
    """One image to explain."""

    image: ImageRecord
    picture: Image.Image
    concepts: tuple[str, ...] | None
    """None where the teacher is not told of any."""


@dataclass(frozen=True)
class Teacher:
    """Who is asked."""

    ask: Callable[[list[Request], float], list[Sample]]
    """One sample per request, at a temperature."""
    num_made: Callable[[], int]
    """Samples generated so far, without those that a store had."""
    identity: str
    labels: Mapping[str, Sequence[str]]
    """Category -> all its sub-categories."""


@dataclass(frozen=True)
class Reject:
    """A sample that did not pass, for a person to look at."""

    image_id: str
    reason: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What collect_rationales found."""

    rationales: list[Rationale] = field(default_factory=list)
    """In the order of the cases."""
    yields: dict[ClassKey, ClassYield] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    queue: list[Queued] = field(default_factory=list)
    """The first sample that a person can put right, of each case without a rationale."""
    asked: set[str] = field(default_factory=set)
    """Ids of all images that were asked about."""
    faults: Counter[str] = field(default_factory=Counter)
    """Without filters: kept rationales by the reason why the filters would have rejected them."""


@dataclass
class _Wanted:
    """A rationale that is wanted: what it is about at the moment, and what came of it."""

    case: Case
    samples: int = 0
    kept: Rationale | None = None
    queued: Queued | None = None


def collect_rationales(
    images: Sequence[ImageRecord],
    open_case: Callable[[ImageRecord], Case],
    find_other: Callable[[ImageRecord, set[str]], ImageRecord | None],
    teacher: Teacher,
    settings: CotParams,
    seed: int,
    progress: Progress,
) -> Outcome:
    """For each image the first sample that passes all filters, found on the rungs of the ladder.

    With `cot.filter` off it is the first sample. Its answer is the label, whatever it predicts.
    With `cot.total` the images are asked about in order, as many as it takes. open_case: reads a
    picture; is called for the images of a batch when it is their turn. find_other: another image
    of the same sub-category, its id not among the given ones; None where there is none.
    progress: is advanced by the images that have a rationale or are given up.
    """
    collector = _Collector(open_case, find_other, teacher, settings, seed, progress)
    found = collector.found
    left = deque(images)
    lacking = num_wanted(len(images), settings)
    while left and lacking:
        batch: list[_Wanted] = []
        while left and len(batch) < lacking:
            image = left.popleft()
            if image.id not in found.asked:  # it may have stood in for another one
                found.asked.add(image.id)
                batch.append(_Wanted(open_case(image)))
        lacking -= collector.climb(batch)
    if lacking:
        progress.advance(lacking, words=collector.words())
    return replace(found, yields=dict(sorted(found.yields.items())))


def num_wanted(num_images: int, settings: CotParams) -> int:
    """Rationales wanted of so many images."""
    return num_images if settings.total is None else min(settings.total, num_images)


@dataclass
class _Collector:
    """Asks about batches of cases, and counts over all of them."""

    open_case: Callable[[ImageRecord], Case]
    find_other: Callable[[ImageRecord, set[str]], ImageRecord | None]
    teacher: Teacher
    settings: CotParams
    seed: int
    progress: Progress
    found: Outcome = field(default_factory=lambda: Outcome(yields=defaultdict(ClassYield)))
    samples: int = 0
    kept: int = 0
    start: float = field(default_factory=time.monotonic)
    names: dict[str, tuple[frozenset[str], frozenset[str]]] = field(init=False)
    """Category -> its sub-categories, and the options it must not have."""

    def __post_init__(self) -> None:
        labels = self.teacher.labels
        self.names = {
            category: (frozenset(labels[category]), barred_options(category, labels))
            for category in labels
        }

    def climb(self, batch: Sequence[_Wanted]) -> int:
        """Take the cases up the ladder; returns how many have a rationale in the end."""
        for item in batch:
            self._yield(item).asked += 1
        for number, rung in enumerate(rungs(self.settings), 1):
            missing = [item for item in batch if item.kept is None]
            if rung.image == "other":
                missing = [item for item in missing if self._change_image(item)]
            self._try_rung(number, rung, missing)
        for item in batch:
            if item.kept is not None:
                self.found.rationales.append(item.kept)
            elif item.queued is not None:
                self._yield(item).queued += 1
                self.found.queue.append(item.queued)
        return sum(item.kept is not None for item in batch)

    def _change_image(self, item: _Wanted) -> bool:
        other = self.find_other(item.case.image, self.found.asked)
        if other is not None:
            self.found.asked.add(other.id)
            item.case = self.open_case(other)
        return other is not None

    def _try_rung(self, number: int, rung: RungParams, missing: list[_Wanted]) -> None:
        for _ in range(rung.attempts):
            if not missing:
                return
            requests = [
                rationale_request(item.case, item.samples + 1, self.settings, self.seed)
                for item in missing
            ]
            samples = self.teacher.ask(requests, rung.temperature)
            for item, sample in zip(missing, samples, strict=True):
                self._take(item, sample, number)
            self.samples += len(missing)
            kept = sum(item.kept is not None for item in missing)
            self.kept += kept
            self.progress.advance(kept, words=self.words())
            missing = [item for item in missing if item.kept is None]

    def _take(self, item: _Wanted, sample: Sample, rung: int) -> None:
        """Judge a sample and count it."""
        image, text = item.case.image, sample.text
        known, barred = self.names[image.category]
        item.samples += 1
        tally = self._yield(item)
        tally.samples += 1
        tally.tokens += sample.num_tokens
        tally.cut += sample.finish_reason == "length"
        judgement = judge(text, image.label, known, self.settings, barred)
        reason = judgement.reason
        if reason is not None:
            self.found.rejects.append(Reject(image.id, reason, text))
        if reason is None or not self.settings.filter:
            tally.kept += 1
            tally.rungs[rung] += 1
            item.kept = self._read(item, text)
            self.found.faults.update([reason] if reason else [])
            return
        tally.rejected[reason] += 1
        if item.queued is None and reason == _BY_HAND:
            item.queued = Queued(self._read(item, text), (reason,))

    def _read(self, item: _Wanted, text: str) -> Rationale:
        """A sample as a rationale; what has not the four sections is kept word for word."""
        image, sections = item.case.image, parse_sections(text)
        return Rationale(
            id=f"cot/{image.id}",
            image_id=image.id,
            category=image.category,
            label=image.label,
            question=training_question(image, self.seed),
            analysis=sections.get("analysis", ""),
            options=split_options(sections.get("options", "")),
            comparison=sections.get("comparison", ""),
            prediction=sections.get("prediction", ""),
            attempts=item.samples,
            engine=self.teacher.identity,
            completion=None if sections else rationale_completion(text.strip(), image.label),
        )

    def _yield(self, item: _Wanted) -> ClassYield:
        return self.found.yields[item.case.image.class_key]

    def words(self) -> str:
        """Rate of what is generated and yield, for the line of progress."""
        rate = self.teacher.num_made() / max(time.monotonic() - self.start, 1e-9)
        share = 100 * self.kept / max(self.samples, 1)
        return f"{rate:.1f} samples/s, {share:.0f} % of them kept"


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
