"""The 404 released rationales of stage 1, on the training images at hand.

One per seen sub-category where there is one (48 of 452 have none). A rationale trains with its
completion as released; its sections are read from the prose, to be looked at.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from finer1.files import sha256_file
from finer1.records import ImageRecord, Rationale, row
from finer1.reference.release import RATIONALES
from finer1.released.joining import FileIndex, FileKey, file_key, index_files, name_first
from finer1.released.prose import Prose, read_prose

_IMAGE_TAG = "<image>"
_COMPLETION = re.compile(r"<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", re.DOTALL)


@row
class _Message:
    role: str
    content: str


@row
class _Item:
    """One element of the released file."""

    messages: tuple[_Message, ...]
    images: tuple[str, ...]


@dataclass(frozen=True)
class ReleasedRationale:
    """One rationale as released."""

    path: str
    """Of its image, as the authors have it."""
    key: FileKey
    question: str
    completion: str
    """Verbatim: `<think>...</think>`, blank line, `<answer>...</answer>`."""
    rationale: str
    """The text between the think tags."""
    answer: str

    @cached_property
    def prose(self) -> Prose:
        """Its sections, as far as they are found."""
        return read_prose(self.rationale)


@dataclass(frozen=True)
class ReleasedImages:
    """The images that the released rationales are about."""

    image_ids: frozenset[str]
    unjoined: tuple[str, ...]
    """Released paths, of the datasets at hand, without a training image among those given."""
    ambiguous: tuple[str, ...]
    """Released paths whose file name several of these have."""

    def sentences(self) -> list[str]:
        """What did not join, a sentence each."""
        return _unjoined_sentences("at hand", self.unjoined, self.ambiguous)


@dataclass(frozen=True)
class ReleasedRationales:
    """The released rationales on one's own images, and what is not as it should be."""

    rationales: list[Rationale] = field(default_factory=list)
    """In the released order."""
    unjoined: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    """Both as in ReleasedImages."""
    mislabelled: dict[str, str] = field(default_factory=dict)
    """Image id -> the released answer, where that is not the image's label; left out."""
    missing: Counter[str] = field(default_factory=Counter)
    """Section -> rationales whose prose does not show it."""

    def sentences(self) -> list[str]:
        """What did not join or was not found, a sentence each."""
        found = [
            f"the released rationale about {image_id} answers {answer}, which is not the image's "
            "label; it is left out"
            for image_id, answer in self.mislabelled.items()
        ]
        found += _unjoined_sentences("with a part in this split", self.unjoined, self.ambiguous)
        found += [
            f"in {count} of {len(self.rationales)} released rationales no {section} was found"
            for section, count in sorted(self.missing.items())
        ]
        return found


def load_released_rationales(path: Path) -> list[ReleasedRationale]:
    """All rationales of the file, in its order.

    Raises ValueError naming file and item, counted from 1, when one is not a single-image
    conversation with a completion in the released form, or an image comes twice.
    """
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; `finer1 data released` gets the released files, or set "
            "cot.source to teacher and split.sft_images to drawn"
        )
    try:
        values = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: this is no JSON ({error})") from error
    if not isinstance(values, list):
        raise ValueError(f"{path}: this is no list of conversations")
    adapter = TypeAdapter(_Item)
    found: list[ReleasedRationale] = []
    numbers: dict[FileKey, int] = {}
    for number, value in enumerate(values, 1):
        try:
            item = _read_item(adapter.validate_python(value))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "item"
            raise ValueError(f"{path}: item {number}: {where}: {first['msg']}") from error
        except ValueError as error:
            raise ValueError(f"{path}: item {number}: {error}") from error
        if numbers.setdefault(item.key, number) != number:
            raise ValueError(
                f"{path}: item {number}: {item.path} is already in item {numbers[item.key]}"
            )
        found.append(item)
    return found


def released_images(folder: Path, records: Sequence[ImageRecord]) -> ReleasedImages:
    """The training images among `records` that a released rationale is about.

    `folder` holds the released file. Official validation images count as training ones: 26 of
    the 59 flowers come from there.
    """
    here = _training_files(records)
    items = _at_hand(folder, records)
    left = [item for item in items if item.key not in here.images]
    return ReleasedImages(
        image_ids=frozenset(here.images[i.key].id for i in items if i.key in here.images),
        unjoined=tuple(item.path for item in left if item.key not in here.ambiguous),
        ambiguous=tuple(item.path for item in left if item.key in here.ambiguous),
    )


def released_rationales(folder: Path, records: Sequence[ImageRecord]) -> ReleasedRationales:
    """The released rationales about training images among `records`.

    Rationales of datasets that `records` does not hold are passed over in silence. None is about
    an official test image, which is why a car's number means the training image.
    """
    here = _training_files(records)
    outcome = ReleasedRationales()
    items = _at_hand(folder, records)
    engine = f"released:{RATIONALES}@{sha256_file(folder / RATIONALES)[:12]}"
    for item in items:
        image = here.images.get(item.key)
        if item.key in here.ambiguous:
            outcome.ambiguous.append(item.path)
        elif image is None:
            outcome.unjoined.append(item.path)
        elif item.answer != image.label:
            outcome.mislabelled[image.id] = item.answer
        else:
            outcome.rationales.append(_rationale(item, image, engine))
            outcome.missing.update(item.prose.missing)
    return outcome


def _at_hand(folder: Path, records: Iterable[ImageRecord]) -> list[ReleasedRationale]:
    datasets = {image.dataset for image in records}
    items = load_released_rationales(folder / RATIONALES)
    return [item for item in items if item.key[0] in datasets]


def _training_files(records: Iterable[ImageRecord]) -> FileIndex:
    return index_files(image for image in records if image.official != "test")


def _unjoined_sentences(where: str, unjoined: Sequence[str], ambiguous: Sequence[str]) -> list[str]:
    lists = {
        f"released rationales are about no training image {where}": unjoined,
        f"released rationales are about a file name of several images {where}": ambiguous,
    }
    return [name_first(what, names) for what, names in lists.items() if names]


def _read_item(item: _Item) -> ReleasedRationale:
    if len(item.images) != 1:
        raise ValueError(f"{len(item.images)} images instead of one")
    texts = {message.role: message.content for message in item.messages}
    if len(texts) != len(item.messages) or not {"user", "assistant"} <= texts.keys():
        raise ValueError("its messages are not one of user and one of assistant")
    if not texts["user"].startswith(_IMAGE_TAG):
        raise ValueError(f"the question does not start with {_IMAGE_TAG}")
    match = _COMPLETION.fullmatch(texts["assistant"])
    if match is None:
        raise ValueError("the completion is not <think>...</think><answer>...</answer>")
    return ReleasedRationale(
        path=item.images[0],
        key=file_key(item.images[0]),
        question=texts["user"].removeprefix(_IMAGE_TAG).strip(),
        completion=texts["assistant"],
        rationale=match.group(1),
        answer=match.group(2).strip(),
    )


def _rationale(item: ReleasedRationale, image: ImageRecord, engine: str) -> Rationale:
    return Rationale(
        id=f"cot/{image.id}",
        image_id=image.id,
        category=image.category,
        label=image.label,
        question=item.question,
        analysis=item.prose.analysis,
        options=item.prose.options,
        comparison=item.prose.comparison,
        prediction=item.prose.prediction,
        attempts=1,
        engine=engine,
        completion=item.completion,
    )
