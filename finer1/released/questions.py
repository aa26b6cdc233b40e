"""The released evaluation questions about the test images at hand.

The wording and the four options of each row are kept. The truth is the first option in all 35,566
rows and the released script does not shuffle, so that "the first option" scores 100 %: the order
as stored is for comparing with that script alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finer1.data_params import QuestionsParams
from finer1.evaluation.options import order_options
from finer1.records import Question, SplitRecord
from finer1.reference.classes import released_classes
from finer1.reference.release import questions_file
from finer1.released.joining import FileKey, index_files, name_first
from finer1.released.rows import ReleasedRow, check_truths, read_rows


@dataclass(frozen=True)
class ReleasedQuestions:
    """The questions, and what did not join."""

    questions: list[Question] = field(default_factory=list)
    """A closed and an open one per joined row, in the order of the files."""
    unjoined: list[str] = field(default_factory=list)
    """Released paths whose image is not at hand."""
    ambiguous: list[str] = field(default_factory=list)
    """Released paths whose file name several test images have."""
    elsewhere: list[str] = field(default_factory=list)
    """Released paths whose image plays another part here: a local hold-out, no official test."""
    unasked: list[str] = field(default_factory=list)
    """Ids of test images that no released row is about."""

    def sentences(self) -> list[str]:
        """What did not join, a sentence each; empty when everything did."""
        lists = {
            "released questions are about images that are not at hand": self.unjoined,
            "released questions are about a file name of several test images": self.ambiguous,
            "released questions are about images of another part than test": self.elsewhere,
            "test images have no released question": self.unasked,
        }
        return [name_first(what, names) for what, names in lists.items() if names]


def released_questions(
    folder: Path, splits: Sequence[SplitRecord], settings: QuestionsParams, seed: int
) -> ReleasedQuestions:
    """The released questions of all datasets in `splits`, on their test images.

    `folder` holds <dataset>_seen.jsonl and <dataset>_unseen.jsonl. All rows count:
    `images_per_class` is for questions that are built. Raises ValueError for a broken row, with
    file and line; for a truth that is not the image's label; for a split that is not the released
    one; and when no row joins.
    """
    if settings.part != "test":
        raise ValueError(
            f"questions.part is {settings.part}, but the released questions are about test "
            "images; set it to test, or questions.source to built"
        )
    outcome = ReleasedQuestions()
    for dataset in dict.fromkeys(item.image.dataset for item in splits):
        if not released_classes(dataset):
            raise ValueError(
                f"questions.source: there are no released questions for the dataset {dataset}; "
                "set it to built"
            )
        members = [item for item in splits if item.image.dataset == dataset]
        _ask_about(dataset, folder, members, outcome, settings.order, seed)
    if not outcome.questions:
        reasons = "; ".join(outcome.sentences())
        raise ValueError(
            f"questions.source: no test image has a released question ({reasons}); set it to built"
        )
    return outcome


def _ask_about(
    dataset: str,
    folder: Path,
    members: Sequence[SplitRecord],
    outcome: ReleasedQuestions,
    order: str,
    seed: int,
) -> None:
    """Add the questions of one dataset, whose images are `members`, to the outcome."""
    tests = {item.image.id: item for item in members if item.part == "test"}
    here = index_files(item.image for item in tests.values())
    other = _other_parts(dataset, members)
    asked: set[str] = set()
    for seen in (True, False):
        path = folder / questions_file(dataset, seen)
        joined: list[tuple[int, ReleasedRow, SplitRecord]] = []
        for number, (key, line) in enumerate(read_rows(path, dataset), 1):
            if key in here.images:
                joined.append((number, line, tests[here.images[key].id]))
            elif key in here.ambiguous:
                outcome.ambiguous.append(line.image_path)
            else:
                (outcome.elsewhere if key in other else outcome.unjoined).append(line.image_path)
        _check(path, joined, seen)
        for _, line, item in joined:
            asked.add(item.image.id)
            outcome.questions.extend(_questions(line, item, order, seed))
    outcome.unasked.extend(image_id for image_id in tests if image_id not in asked)


def _other_parts(dataset: str, members: Sequence[SplitRecord]) -> frozenset[FileKey]:
    """The files of the images that are trained on or validated with.

    Empty for cars, whose training images have the numbers of other test images.
    """
    if dataset == "car":
        return frozenset()
    found = index_files(item.image for item in members if item.part != "test")
    return found.ambiguous | found.images.keys()


def _check(path: Path, joined: Sequence[tuple[int, ReleasedRow, SplitRecord]], seen: bool) -> None:
    """Raise ValueError when a row contradicts the image's label or the split."""
    check_truths(path, [(number, line, item.image) for number, line, item in joined])
    other = [(number, item.image.label) for number, _, item in joined if item.seen != seen]
    if other:
        number, label = other[0]
        release, ours = ("seen", "unseen") if seen else ("unseen", "seen")
        raise ValueError(
            f"{path}:{number}: {label} is {release} in the release, but {ours} in this split "
            f"({len(other)} of {len(joined)} images differ); set split.classes to released"
        )


def _questions(line: ReleasedRow, item: SplitRecord, order: str, seed: int) -> list[Question]:
    """The closed and the open question of a row."""
    closed_id = f"closed/{item.image.id}"
    options = line.options
    if order == "shuffled":
        options = order_options(options, closed_id, seed)
    closed = Question(
        id=closed_id,
        image_id=item.image.id,
        category=item.image.category,
        label=item.image.label,
        seen=item.seen,
        setting="closed",
        text=line.question,
        options=options,
        source="released",
    )
    opened = Question(
        id=f"open/{item.image.id}",
        image_id=item.image.id,
        category=item.image.category,
        label=item.image.label,
        seen=item.seen,
        setting="open",
        text=line.question,
        options=(),
        source="open",
    )
    return [closed, opened]
