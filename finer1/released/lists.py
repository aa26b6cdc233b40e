"""The released options by image, for questions that are worded and ordered here.

They are FOCI's (arXiv:2406.14496): the truth and the three other sub-categories that one CLIP model
finds likeliest. A question file has them for test images alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finer1.records import SplitRecord
from finer1.reference.classes import released_classes
from finer1.reference.release import questions_file
from finer1.released.joining import index_files, name_first
from finer1.released.rows import check_truths, read_rows


@dataclass(frozen=True)
class ReleasedLists:
    """The lists, and the images without one."""

    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Image id -> its released options, as stored."""
    unlisted: list[str] = field(default_factory=list)
    """Ids of test images that no released row is about, or whose file name several have."""

    def sentences(self) -> list[str]:
        """What has no list, in a sentence; empty when everything has."""
        what = "test images have no released options and are left out"
        return [name_first(what, self.unlisted)] if self.unlisted else []


def released_lists(folder: Path, splits: Sequence[SplitRecord]) -> ReleasedLists:
    """The released options of the test images in `splits`, whichever sub-categories are seen here.

    folder: as of released_questions. Raises ValueError for a broken row, with file and line; for a
    truth that is not the image's label; for a dataset that was not released; and when no image has
    options.
    """
    found = ReleasedLists()
    for dataset in dict.fromkeys(item.image.dataset for item in splits):
        if not released_classes(dataset):
            raise ValueError(
                f"questions.options: there are no released options for the dataset {dataset}; set "
                "it to siblings, random or clip"
            )
        tests = [
            item.image for item in splits if item.part == "test" and item.image.dataset == dataset
        ]
        here = index_files(tests).images
        for seen in (True, False):
            path = folder / questions_file(dataset, seen)
            joined = [
                (number, line, here[key])
                for number, (key, line) in enumerate(read_rows(path, dataset), 1)
                if key in here
            ]
            check_truths(path, joined)
            found.options.update((image.id, line.options) for _, line, image in joined)
        found.unlisted.extend(image.id for image in tests if image.id not in found.options)
    if not found.options:
        raise ValueError(
            "questions.options: no test image has released options; set it to siblings, random or "
            "clip"
        )
    return found
