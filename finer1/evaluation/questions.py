"""Closed-world and open-world questions about the images of a part.

Every choice (image, wording, options, their order) is a hash of the seed and the question's own
id, never a draw from a running generator: a question stays the same when others come or go.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from finer1.data_params import QuestionsParams
from finer1.draws import draw
from finer1.evaluation.options import (
    Category,
    Distractors,
    Groups,
    LikelyNames,
    likeliest_distractors,
    order_options,
    random_distractors,
    sibling_distractors,
)
from finer1.prompts import QUESTIONS, question
from finer1.records import ImageRecord, Question, Setting, SplitRecord


def build_questions(
    splits: Sequence[SplitRecord],
    settings: QuestionsParams,
    seed: int,
    likely: LikelyNames | None = None,
) -> list[Question]:
    """A closed and an open question about each chosen image, in the order of `splits`.

    The other options come from all sub-categories of the category, seen and unseen. likely: for
    `questions.options: clip` of all images that choose_images chooses; for `foci` of those that
    have a released list, and only they are asked about. Raises ValueError when the part is empty
    or a category has too few sub-categories for the options.
    """
    groups = groups_by_category(splits)
    if settings.options == "foci":
        assert likely is not None
        splits = [row for row in splits if row.image.id in likely.names]
    chosen = choose_images(splits, settings, seed)
    if settings.options != "foci":
        _check_options({_category(row.image) for row in chosen}, groups, settings.num_options)
    questions = []
    for row in chosen:
        labels = groups[_category(row.image)]
        questions.append(_closed(row, labels, settings, seed, likely))
        questions.append(_ask(row, "open", (), "open", seed))
    return questions


def choose_images(
    splits: Sequence[SplitRecord], settings: QuestionsParams, seed: int
) -> list[SplitRecord]:
    """At most `images_per_class` rows of the part per sub-category, chosen by hash.

    Raises ValueError when no image has the part.
    """
    by_class: dict[tuple[Category, str], list[SplitRecord]] = defaultdict(list)
    for row in splits:
        if row.part == settings.part:
            by_class[_category(row.image), row.image.label].append(row)
    kept = {
        row.image.id
        for rows in by_class.values()
        for row in _ranked(rows, settings.images_per_class, seed)
    }
    if not kept:
        raise ValueError(f"questions.part: no image has the part {settings.part}; choose another")
    return [row for row in splits if row.part == settings.part and row.image.id in kept]


def groups_by_category(splits: Iterable[SplitRecord]) -> dict[Category, dict[str, str | None]]:
    """Category -> sub-category -> its group."""
    groups: dict[Category, dict[str, str | None]] = defaultdict(dict)
    for row in splits:
        groups[_category(row.image)][row.image.label] = row.image.group
    return groups


def _ranked(rows: Iterable[SplitRecord], count: int, seed: int) -> list[SplitRecord]:
    return sorted(rows, key=lambda row: draw(seed, "question image", row.image.id))[:count]


def _check_options(
    asked: Iterable[Category], groups: Mapping[Category, Groups], needed: int
) -> None:
    for category in sorted(asked):
        if len(groups[category]) < needed:
            raise ValueError(
                f"questions.num_options: {needed} options are asked for, but {category[1]} has "
                f"{len(groups[category])} sub-categories in {category[0]}; lower num_options"
            )


def _closed(
    row: SplitRecord,
    groups: Groups,
    settings: QuestionsParams,
    seed: int,
    likely: LikelyNames | None,
) -> Question:
    key = _question_id("closed", row)
    others = _distractors(key, row.image, groups, settings, seed, likely)
    options: tuple[str, ...] = (row.image.label, *others.names)
    if settings.order == "shuffled":
        options = order_options(options, key, seed)
    return _ask(row, "closed", options, others.source, seed)


def _distractors(
    key: str,
    image: ImageRecord,
    groups: Groups,
    settings: QuestionsParams,
    seed: int,
    likely: LikelyNames | None,
) -> Distractors:
    count = settings.num_options - 1
    if settings.options in ("clip", "foci"):
        assert likely is not None
        return likeliest_distractors(image, likely, count)
    if settings.options == "siblings":
        return sibling_distractors(key, image.label, groups, count, seed)
    return random_distractors(key, image.label, groups, count, seed)


def _ask(
    row: SplitRecord, setting: Setting, options: tuple[str, ...], source: str, seed: int
) -> Question:
    key = _question_id(setting, row)
    return Question(
        id=key,
        image_id=row.image.id,
        category=row.image.category,
        label=row.image.label,
        seen=row.seen,
        setting=setting,
        text=question(row.image.category, draw(seed, "question template", key) % len(QUESTIONS)),
        options=options,
        source=source,
    )


def _question_id(setting: Setting, row: SplitRecord) -> str:
    return f"{setting}/{row.image.id}"


def _category(image: ImageRecord) -> Category:
    return image.dataset, image.category
