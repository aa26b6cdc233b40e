"""Stage `questions`: what every model will be asked.

    python -m tasks.questions

Reads paths.splits, of `questions.source: released` also paths.released, and of `questions.options:
foci` also paths.images; writes paths.questions.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from finer1.evaluation.options import NameScores, score_names
from finer1.evaluation.questions import build_questions, choose_images, groups_by_category
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
        scores = _scores(context, splits) if settings.options == "foci" else None
        asked = build_questions(splits, settings, context.params.seed, scores)
    write_jsonl(paths.questions, asked)
    context.log_table("questions", [_row(item) for item in asked[:200]])
    return _metrics(asked) | metrics


def _released(
    context: Context, splits: Sequence[SplitRecord]
) -> tuple[list[Question], dict[str, float]]:
    """The published questions about the images at hand, and what did not fit together."""
    from finer1.reference.release import questions_file
    from finer1.released.files import check_released
    from finer1.released.questions import released_questions

    params = context.params
    folder = context.home / params.paths.released
    datasets = sorted({row.image.dataset for row in splits})
    check_released(folder, [questions_file(d, seen) for d in datasets for seen in (True, False)])
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


def _scores(context: Context, splits: Sequence[SplitRecord]) -> NameScores:
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
