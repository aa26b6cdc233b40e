"""The accepted rationales of a run as a data set: rows, card, and images only where they may go."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData

from finer1.export.card import render_page
from finer1.export.image_terms import is_own, terms_of
from finer1.files import write_atomic
from finer1.records import ClassKey, ImageRecord, Rationale
from finer1.teacher.yields import ClassYield, add_yields

_TEXT_ROWS = "data/train.jsonl"
_IMAGE_ROWS = "data/train/metadata.jsonl"
"""The name by which `datasets` joins rows with the images beside them."""
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))


@dataclass(frozen=True)
class RationaleFacts:
    """What the rows and the card are made from."""

    name: str
    licence: str | None
    """Of the text, as its owner names it on the hub; None when he has not said."""
    rationales: Sequence[Rationale]
    images: Mapping[str, ImageRecord]
    """Image id -> its record."""
    yields: Mapping[ClassKey, ClassYield]
    filters: Sequence[tuple[str, str]]
    """(setting, value) of how samples were accepted."""
    audit: Sequence[tuple[str, str]]
    identity: Sequence[tuple[str, str]]

    @property
    def datasets(self) -> list[str]:
        """Those that the rationales are about."""
        return sorted({self.images[row.image_id].dataset for row in self.rationales})


def check_images(datasets: Sequence[str], are_mine: bool) -> None:
    """Raise ValueError, naming them, when there are datasets whose images may not be passed on.

    are_mine: who exports owns the images of all datasets that are not published ones.
    """
    held = [name for name in datasets if not terms_of(name).may_be_passed_on]
    published = [name for name in held if not is_own(name)]
    if published:
        told = ", ".join(f"{name} ({terms_of(name).words})" for name in published)
        raise ValueError(
            f"the images of {told} may not be passed on; leave --images out: the rows have ids and "
            "SHA-256"
        )
    if held and not are_mine:
        raise ValueError(
            f"the images of {', '.join(held)} are for their owner to pass on; add "
            "--images-are-mine if that is you, or leave --images out"
        )


def write_rationales(
    folder: Path,
    facts: RationaleFacts,
    complete: Callable[[Rationale], str],
    content_of: Callable[[str], bytes] | None,
) -> None:
    """Write rows and card; images too where content_of gives their bytes.

    complete: the text that SFT learns from a rationale. content_of: bytes of the file of an id,
    given for images that check_images lets pass.
    """
    rows = list(_rows(facts, complete, has_images=content_of is not None))
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    write_atomic(folder / (_IMAGE_ROWS if content_of else _TEXT_ROWS), lines.encode())
    if content_of is not None:
        for row in rows:
            content = content_of(str(row["image_id"]))
            write_atomic(folder / Path(_IMAGE_ROWS).parent / str(row["file_name"]), content)
    write_atomic(folder / "README.md", dataset_card(facts, content_of is not None).encode())


def _rows(
    facts: RationaleFacts, complete: Callable[[Rationale], str], has_images: bool
) -> Iterator[dict[str, object]]:
    for row in facts.rationales:
        image = facts.images[row.image_id]
        file = {"file_name": f"{image.sha256}{Path(image.id).suffix.lower()}"} if has_images else {}
        yield {
            **file,
            "id": row.id,
            "image_id": row.image_id,
            "image_sha256": image.sha256,
            "dataset": image.dataset,
            "category": row.category,
            "label": row.label,
            "question": row.question,
            "analysis": row.analysis,
            "options": list(row.options),
            "comparison": row.comparison,
            "prediction": row.prediction,
            "completion": complete(row),
            "attempts": row.attempts,
            "teacher": row.engine,
        }


def dataset_card(facts: RationaleFacts, has_images: bool) -> str:
    """The README.md, equal for equal facts; values from data are escaped."""
    count = len(facts.rationales)
    files: object = "data/train/**" if has_images else _TEXT_ROWS
    data = DatasetCardData(
        pretty_name=facts.name,
        license=facts.licence,
        language="en",
        annotations_creators="machine-generated",
        task_categories=["image-text-to-text", "visual-question-answering"],
        size_categories=next((name for limit, name in _SIZES if count < limit), "n>1M"),
        tags=["finer1", "rationales", "fine-grained"],
        configs=[
            {"config_name": "default", "data_files": [{"split": "train", "path": files}]},
        ],
    )
    teachers = Counter(row.engine for row in facts.rationales)
    page = render_page(
        "dataset_card.md",
        {
            "facts": facts,
            "count": count,
            "has_images": has_images,
            "teachers": sorted(teachers.items()),
            "terms": [(name, terms_of(name)) for name in facts.datasets],
            "total": add_yields(facts.yields.values()),
            "classes": sorted(facts.yields.items()),
            "fields": _fields(has_images),
        },
    )
    return DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{page}").content


def _fields(has_images: bool) -> list[tuple[str, str]]:
    picture = [("image", "the image, by file_name")] if has_images else []
    return [
        *picture,
        ("id, image_id", "of the rationale; of the image within its dataset"),
        ("image_sha256", "SHA-256 of the image's file, by which it is found in the dataset"),
        ("dataset, category, label", "where the image is from; what it shows"),
        ("question", "as it was put"),
        ("analysis, options, comparison, prediction", "the four parts of the rationale"),
        ("completion", "all of the text that SFT learns: the parts in their tags, and the answer"),
        ("attempts", "samples drawn until one passed the filters"),
        ("teacher", "who wrote it"),
    ]
