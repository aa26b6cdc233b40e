"""Closed-world and open-world questions about the images of a part.

Every choice (image, wording, options, their order) is a hash of the seed and the question's own
id, never a draw from a running generator: a question stays the same when others come or go.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from finer1.data_params import QuestionsParams
from finer1.draws import draw
from finer1.prompts import QUESTIONS, question
from finer1.records import ImageRecord, Question, Setting, SplitRecord

Category = tuple[str, str]
"""Dataset and category: two datasets may both have birds, under different names."""


def build_questions(
    splits: Sequence[SplitRecord], settings: QuestionsParams, seed: int
) -> list[Question]:
    """A closed and an open question about each chosen image, in the order of `splits`.

    At most `images_per_class` images of the part per sub-category, chosen by hash. The other
    options come from all sub-categories of the category, seen and unseen. Raises ValueError when
    the part is empty or a category has too few sub-categories for the options.
    """
    chosen = _choose_images(splits, settings, seed)
    if not chosen:
        raise ValueError(f"questions.part: no image has the part {settings.part}; choose another")
    groups = _groups(splits)
    _check_options({_category(row.image) for row in chosen}, groups, settings.num_options)
    questions = []
    for row in chosen:
        labels = groups[_category(row.image)]
        questions.append(_closed(row, labels, settings, seed))
        questions.append(_ask(row, "open", (), "open", seed))
    return questions


def _choose_images(
    splits: Sequence[SplitRecord], settings: QuestionsParams, seed: int
) -> list[SplitRecord]:
    by_class: dict[tuple[Category, str], list[SplitRecord]] = defaultdict(list)
    for row in splits:
        if row.part == settings.part:
            by_class[_category(row.image), row.image.label].append(row)
    kept = {
        row.image.id
        for rows in by_class.values()
        for row in _ranked(rows, settings.images_per_class, seed)
    }
    return [row for row in splits if row.image.id in kept]


def _ranked(rows: Iterable[SplitRecord], count: int, seed: int) -> list[SplitRecord]:
    return sorted(rows, key=lambda row: draw(seed, "question image", row.image.id))[:count]


def _groups(splits: Iterable[SplitRecord]) -> dict[Category, dict[str, str | None]]:
    """Category -> sub-category -> its group."""
    groups: dict[Category, dict[str, str | None]] = defaultdict(dict)
    for row in splits:
        groups[_category(row.image)][row.image.label] = row.image.group
    return groups


def _check_options(
    asked: Iterable[Category], groups: Mapping[Category, Mapping[str, str | None]], needed: int
) -> None:
    for category in sorted(asked):
        if len(groups[category]) < needed:
            raise ValueError(
                f"questions.num_options: {needed} options are asked for, but {category[1]} has "
                f"{len(groups[category])} sub-categories in {category[0]}; lower num_options"
            )


def _closed(
    row: SplitRecord, groups: Mapping[str, str | None], settings: QuestionsParams, seed: int
) -> Question:
    label = row.image.label
    key = _question_id("closed", row)
    others = [name for name in groups if name != label]
    others.sort(key=lambda name: draw(seed, "question option", key, name))
    siblings: set[str] = set()
    if settings.options == "siblings":
        siblings = {name for name in others if groups[label] and groups[name] == groups[label]}
        others.sort(key=lambda name: name not in siblings)  # stable: hash order stays inside
    others = others[: settings.num_options - 1]
    options = sorted([label, *others], key=lambda name: draw(seed, "question order", key, name))
    return _ask(row, "closed", tuple(options), _source(others, siblings), seed)


def _source(others: Sequence[str], siblings: Collection[str]) -> str:
    if not siblings:
        return "random"
    return "siblings" if set(others) <= set(siblings) else "mixed"


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
