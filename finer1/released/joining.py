"""The image that a released row means: its path there gives dataset and file name, no more.

The folders of the authors differ from the official archives and between their own files. For
Stanford Cars the side matters as well: the numbers of cars_train and cars_test are the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finer1.records import ImageRecord

_DATASETS = {
    "bird_200": "bird",
    "dogs_120": "dog",
    "fgvc-aircraft-2013b-train": "aircraft",
    "fgvc_aircraft": "aircraft",
    "flower102": "flower",
    "flower102_train": "flower",
    "oxford-pet": "pet",
    "oxford-pet-train": "pet",
    "stanford-cars": "car",
    "stanford_cars_train": "car",
}
"""First folder of a released path -> dataset."""

FileKey = tuple[str, str]
"""Dataset and file name."""

_NUM_NAMED = 3


def file_key(path: str) -> FileKey:
    """The dataset and file name of a released path. Raises ValueError for an unknown folder."""
    folder, _, rest = path.partition("/")
    if folder not in _DATASETS or not rest:
        raise ValueError(
            f"{path!r} lies in none of the released folders ({', '.join(sorted(_DATASETS))})"
        )
    return _DATASETS[folder], rest.rpartition("/")[2]


@dataclass(frozen=True)
class FileIndex:
    """Images by dataset and file name."""

    images: dict[FileKey, ImageRecord]
    ambiguous: frozenset[FileKey]
    """Names that several images have; none of them is in `images`."""


def index_files(images: Iterable[ImageRecord]) -> FileIndex:
    """The index of the images; one may come twice."""
    found: dict[FileKey, ImageRecord] = {}
    ambiguous: set[FileKey] = set()
    for image in images:
        key = image.dataset, image.id.rpartition("/")[2]
        if found.setdefault(key, image).id != image.id:
            ambiguous.add(key)
    kept = {key: image for key, image in found.items() if key not in ambiguous}
    return FileIndex(kept, frozenset(ambiguous))


def name_first(count: str, names: Sequence[str]) -> str:
    """`<number> <count>: <the first names>`; names must not be empty."""
    more = ", ..." if len(names) > _NUM_NAMED else ""
    return f"{len(names)} {count}: {', '.join(names[:_NUM_NAMED])}{more}"
