"""Stage `questions`: what every model will be asked.

    python -m tasks.questions

Reads paths.splits; of `questions.source: released` and of `questions.options: foci` also
paths.released, of `questions.options: clip` also paths.images; writes paths.questions.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from finer1.evaluation.options import LikelyNames, score_names
from finer1.evaluation.questions import build_questions, choose_images, groups_by_category
from finer1.files import sha256_file
from finer1.images import ImageArchive
from finer1.records import Question, SplitRecord, read_jsonl, write_jsonl
from tasks.stage import Context, main


def questions(context: Context) -> dict[str, float]:
    """Write the questions; the metrics count them and say where the right option stands."""
    settings, paths = context.params.questions, context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    metrics: dict[str, float] = {}
    if settings.source == "released":
        asked, metrics = _released(context, splits)
    else:
        likely, metrics = _likely(context, splits)
        asked = build_questions(splits, settings, context.params.seed, likely)
    write_jsonl(paths.questions, asked)
    context.log_table("questions", [_row(item) for item in asked[:200]])
    file = {"questions": len(asked), "sha256": sha256_file(paths.questions)}
    context.log_table("questions_file", [file])
    return _metrics(asked) | metrics


def _released(
    context: Context, splits: Sequence[SplitRecord]
) -> tuple[list[Question], dict[str, float]]:
    """The published questions about the images at hand, and what did not fit together."""
    from finer1.released.questions import released_questions

    params = context.params
    folder = _released_folder(context, splits)
    found = released_questions(folder, splits, params.questions, params.seed)
    left = {
        "image not at hand": found.unjoined,
        "ambiguous file name": found.ambiguous,
        "image of another part": found.elsewhere,
        "no released question": found.unasked,
    }
    rows = [{"reason": reason, "image": name} for reason, names in left.items() for name in names]
    context.log_table("unjoined", rows)
    for sentence in found.sentences():
        logging.getLogger(__name__).warning("%s", sentence)
    return found.questions, {
        f"questions/{reason.replace(' ', '_')}": len(names) for reason, names in left.items()
    }


def _released_folder(context: Context, splits: Sequence[SplitRecord]) -> Path:
    """The folder with the question files of all datasets, each as it was released."""
    from finer1.reference.release import questions_file
    from finer1.released.files import check_released

    folder = context.home / context.params.paths.released
    datasets = sorted({row.image.dataset for row in splits})
    check_released(folder, [questions_file(d, seen) for d in datasets for seen in (True, False)])
    return folder


def _likely(
    context: Context, splits: Sequence[SplitRecord]
) -> tuple[LikelyNames | None, dict[str, float]]:
    """What each image is most easily taken for, where the options' source looks at it."""
    options = context.params.questions.options
    if options == "clip":
        return _by_clip(context, splits), {}
    if options == "foci":
        return _as_released(context, splits)
    return None, {}


def _as_released(
    context: Context, splits: Sequence[SplitRecord]
) -> tuple[LikelyNames, dict[str, float]]:
    """The released lists, and how many test images have none."""
    from finer1.released.lists import released_lists

    found = released_lists(_released_folder(context, splits), splits)
    for sentence in found.sentences():
        logging.getLogger(__name__).warning("%s", sentence)
    rows = [{"reason": "no released options", "image": name} for name in found.unlisted]
    context.log_table("unjoined", rows)
    metrics: dict[str, float] = {"questions/no_released_options": len(found.unlisted)}
    return LikelyNames("foci", found.options), metrics


def _by_clip(context: Context, splits: Sequence[SplitRecord]) -> LikelyNames:
    """How well each class name fits each image that is asked about, by CLIP."""
    from finer1.embeddings import EmbeddingStore
    from finer1.encoders.open_clip import load_open_clip

    params = context.params
    images = [row.image for row in choose_images(splits, params.questions, params.seed)]
    archive = ImageArchive(params.paths.images)
    encoder = load_open_clip(params.questions.encoder, context.home, params.runtime.device)
    store = EmbeddingStore(context.store / "embeddings", context.is_live)
    embeddings = store.embed(encoder, images, archive.read, encoder.name)
    names = {category: [*groups] for category, groups in groups_by_category(splits).items()}
    return score_names(images, embeddings, names, encoder, params.questions.num_options)


def _row(item: Question) -> dict[str, object]:
    return {
        "id": item.id,
        "question": item.text,
        "options": "; ".join(item.options),
        "source": item.source,
        "label": item.label,
        "seen": item.seen,
    }


def _metrics(asked: Sequence[Question]) -> dict[str, float]:
    closed = [item for item in asked if item.setting == "closed"]
    positions = Counter(item.options.index(item.label) + 1 for item in closed)
    # The encoder and its hash are no part of a metric's name.
    sources = Counter(item.source.partition(":")[0] for item in closed)
    return {
        "questions/count": len(asked),
        "questions/images_seen": sum(item.seen for item in closed),
        "questions/images_unseen": sum(not item.seen for item in closed),
        "questions/classes_seen": len({(i.category, i.label) for i in closed if i.seen}),
        "questions/classes_unseen": len({(i.category, i.label) for i in closed if not i.seen}),
        **{f"questions/truth_at_position_{place}": positions[place] for place in sorted(positions)},
        **{f"questions/options_from_{name}": sources[name] for name in sorted(sources)},
    }


if __name__ == "__main__":
    main("questions", questions)
