"""Questions about corrupted copies of images, for any model that can be asked about the images.

A copy and the question about it have the ids of the image and its question, with the cell behind
(finer1/robustness/cells.py). A copy is made when a model takes it, from the image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL import Image

from finer1.evaluation.asking import Shown, choose_images
from finer1.evaluation.strategies import Asked
from finer1.records import ImageRecord, Question, Setting
from finer1.robustness.cells import CLEAN, Cell, corrupted_id, split_id
from finer1.robustness.corruptions import corrupt, corrupted_sha256


def choose_questions(
    questions: Sequence[Question], setting: Setting, images_per_class: int, seed: int
) -> list[Question]:
    """The questions of one setting about at most `images_per_class` images per sub-category.

    Drawn by seed and image, so that both settings ask about the same ones; in the order given.
    Raises ValueError when there is no question of the setting.
    """
    asked = [question for question in questions if question.setting == setting]
    if not asked:
        raise ValueError(
            f"robustness.setting: there is no {setting} question; choose the other setting"
        )
    chosen = choose_images(asked, images_per_class, seed, "robustness image")
    return [question for question in asked if question.image_id in chosen]


def all_cells(corruptions: Sequence[str], severities: Sequence[int]) -> list[Cell]:
    """The clean cell, then every corruption at every severity."""
    return [CLEAN, *((name, severity) for name in corruptions for severity in severities)]


def corrupt_asked(asked: Mapping[str, Asked], cells: Sequence[Cell]) -> dict[str, Asked]:
    """What is asked about each copy, by question_id: the last image is its copy of the cell.

    asked: by question id. Images before the last, which are examples, stay as they are.
    """
    return {
        corrupted_id(key, cell): replace(
            item, images=(*item.images[:-1], corrupted_id(item.images[-1], cell))
        )
        for cell in cells
        for key, item in asked.items()
    }


def show_corrupted(
    shown: Shown, image_ids: Sequence[str], cells: Sequence[Cell], seed: int
) -> Shown:
    """The images and, beside them, the copies of `image_ids` in the cells."""
    copies = {corrupted_id(key, cell): (key, cell) for key in image_ids for cell in cells}
    hashes = {
        copy: corrupted_sha256(shown.sha256[key], *cell, seed, key)
        for copy, (key, cell) in copies.items()
    }

    def read(image_id: str) -> Image.Image:
        key, cell = copies.get(image_id, (image_id, CLEAN))
        return corrupt(shown.read(key), *cell, seed, key)

    return Shown({**shown.sha256, **hashes}, read)


def corrupt_questions(questions: Sequence[Question], cells: Sequence[Cell]) -> list[Question]:
    """The questions about each copy, for a model that only chooses among options."""
    return [
        replace(row, id=corrupted_id(row.id, cell), image_id=corrupted_id(row.image_id, cell))
        for cell in cells
        for row in questions
    ]


def copy_records(
    questions: Sequence[Question], images: Mapping[str, ImageRecord], shown: Shown
) -> dict[str, ImageRecord]:
    """By id, a record of each copy that `questions` ask about.

    questions: of corrupt_questions. images: by id, those that the copies are of. shown: with the
    copies.
    """
    return {
        row.image_id: replace(
            images[split_id(row.image_id)[0]], id=row.image_id, sha256=shown.sha256[row.image_id]
        )
        for row in questions
    }
