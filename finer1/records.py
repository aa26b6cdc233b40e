"""The rows that cross stages, and their JSON-lines files.

Every file between two stages holds one kind of row; reading checks each line against the
row's type, so that a broken line is named with file and number instead of failing far away.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer1.files import write_atomic

Part = Literal["sft", "tapo", "validation", "test"]
Setting = Literal["closed", "open"]

ClassKey = tuple[str, str, str]
"""Dataset, category, sub-category: two datasets may have a class of one name."""

Row = TypeVar("Row")


@dataclass_transform(frozen_default=True)
def row(kind: type[Row]) -> type[Row]:
    """A frozen dataclass that checks its fields and takes no other ones."""
    return cast(type[Row], dataclass(frozen=True, config=ConfigDict(extra="forbid"))(kind))


@row
class ImageRecord:
    """One image as its dataset's reader found it."""

    id: str
    """Unique over all datasets: `<dataset>/<path inside the dataset's archive>`."""
    dataset: str
    """Name of the reader (world, bird, ...), or of a dataset of one's own."""
    category: str
    """Word for the super-category, as questions use it: bird, car, dog."""
    label: str
    """Sub-category, as it is to be answered."""
    group: str | None
    """Genus, maker or family within the category; siblings share it. None where unknown."""
    sha256: str
    """SHA-256 of the bytes in the archive."""
    phash: str
    """64-bit perceptual hash, 16 hex digits; few differing bits mean a like picture."""
    official: Literal["train", "validation", "test"]
    """Side of the dataset's own split."""

    @property
    def class_key(self) -> ClassKey:
        """Its sub-category, unique over all datasets."""
        return self.dataset, self.category, self.label


@row
class SplitRecord:
    """One image with a part it plays.

    An image has at most one, save where `split.overlap` gives it to SFT and TAPO: two rows then.
    """

    image: ImageRecord
    seen: bool
    """True when the sub-category is one of the seen ones, which training may use."""
    part: Part


@row
class Concepts:
    """Captions and selected visual concepts of one image."""

    image_id: str
    label: str
    captions: tuple[str, ...]
    concepts: tuple[str, ...]
    """Best first."""
    scores: tuple[float, ...]
    """Estimated information of each concept about the image, nats."""


@row
class Rationale:
    """One accepted teacher rationale."""

    id: str
    image_id: str
    category: str
    label: str
    question: str
    analysis: str
    options: tuple[str, ...]
    """At most four sub-categories, the label among them; of a released one, as its prose has them,
    which may name it otherwise or not at all."""
    comparison: str
    prediction: str
    attempts: int
    """Samples drawn until this one passed, 1 or more."""
    engine: str
    """Identity of the teacher."""
    completion: str | None = None
    """All of the target text, verbatim, where it was not built from the sections (released, or
    kept without filters)."""


@row
class Queued:
    """A rationale that needs a person: it fails only checks that a person can put right."""

    rationale: Rationale
    failed: tuple[str, ...]
    """Reasons of finer1/teacher/filters.py."""


@row
class Decision:
    """One human verdict on one rationale (a line of the review file, which only ever grows)."""

    id: str
    """Rationale.id."""
    sha256: str
    """SHA-256 of the rationale that was judged; a decision whose hash no longer fits is stale."""
    verdict: Literal["accept", "reject", "edit", "undo"]
    """undo: takes back the same reviewer's last verdict on the same text."""
    reviewer: str
    time: str
    """ISO 8601, UTC."""
    reasons: tuple[str, ...] = ()
    """Of a reject: keys of REJECT_REASONS in finer1/teacher/decisions.py."""
    edited: Rationale | None = None
    """The new text, for `edit` only."""


@row
class Triplet:
    """Anchor with the images its positive and negative are drawn from, anew each epoch."""

    anchor: str
    """Image id."""
    label: str
    category: str
    positives: tuple[str, ...]
    """Ids of the other training images of the anchor's sub-category; the anchor's own where there
    is no other: the positive is then a seeded augmentation of it."""
    negative_label: str
    """Another seen sub-category of the same dataset, chosen by `triplets.negative`."""
    negatives: tuple[str, ...]
    """Ids of its training images."""
    similarity: float
    """Cosine of the two class-mean embeddings."""
    encoder: str
    """Name of the encoder that the embeddings came from."""
    encoder_sha256: str
    """Its content."""

    @property
    def is_augmented(self) -> bool:
        """True when there is no other image: the positive is an augmentation of the anchor."""
        return self.positives == (self.anchor,)


@row
class Question:
    """One evaluation question about one image."""

    id: str
    """`<setting>/<image id>`."""
    image_id: str
    category: str
    label: str
    seen: bool
    setting: Setting
    text: str
    """Question as asked, without options."""
    options: tuple[str, ...]
    """Sub-categories in the order shown, the label among them; empty when open."""
    source: str
    """Where the other options come from: siblings of the label alone, siblings and random ones
    (mixed), random, `clip:<encoder>@<hash>`, foci (the released lists), or the released file;
    `open` when there are none."""


@row
class Prediction:
    """One completion for one question, with all that is needed to recompute its score."""

    question_id: str
    model: str
    """base, sft, tapo, or a name of predict.models."""
    identity: str
    """Engine, number format and content hash of the model's folder, or commit."""
    prompt: str
    """All user and system text, as given to the chat template; of a CLIP model, its templates."""
    completion: str
    """What the model wrote; of a CLIP model the best option, as an answer element."""
    num_tokens: int
    """Generated ones; 0 where a server does not say, and of a CLIP model."""
    finish_reason: Literal["stop", "length"]
    strategy: str = "trained"
    """How it was asked (finer1/evaluation/strategies.py); `zero_shot` of a CLIP model."""
    answer_from: Literal["tags", "text"] = "tags"
    """text: without an answer element the whole completion is the answer; a strategy that asks for
    the name alone."""
    votes: tuple[str, ...] = ()
    """Completions sampled for the same prompt (predict.votes)."""


def read_jsonl(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a JSON-lines file.

    Raises ValueError naming file and line when a line is not a valid `kind`.
    """
    adapter = TypeAdapter(kind)
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                rows.append(adapter.validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"]) or "line"
                raise ValueError(
                    f"{path}:{number}: {where}: {first['msg']}; this is no {kind.__name__} row"
                ) from error
    return rows


def write_jsonl(path: Path, rows: Iterable[object]) -> None:
    """Write dataclass rows, one JSON object a line, whole or not at all."""
    rows = list(rows)
    # Twice as fast as dataclasses.asdict, which copies deeply.
    adapters: dict[type, TypeAdapter[Any]] = {
        kind: TypeAdapter(kind) for kind in {type(item) for item in rows}
    }
    lines = [
        json.dumps(adapters[type(item)].dump_python(item), ensure_ascii=False) + "\n"
        for item in rows
    ]
    write_atomic(path, "".join(lines).encode())
