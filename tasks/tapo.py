"""Stage `tapo`: triplet-augmented policy optimization from the model of stage 1.

    python -m tasks.tapo

Reads paths.sft, paths.splits, paths.reviewed, paths.triplets and paths.images; writes the folder
paths.tapo.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from finer1.asking import asking_of
from finer1.images import ImageArchive
from finer1.records import Rationale, SplitRecord, Triplet, read_jsonl
from finer1.separation import check_triplets
from finer1.splits import labels_by_category
from tasks.stage import Context, main


def train(context: Context) -> dict[str, float]:
    """Train stage 2 on the triplets."""
    from finer1.tapo.display import Outlets
    from finer1.tapo.training import train_tapo

    params, paths = context.params, context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    if params.tapo.require_rationales:
        require_all_classes(splits, read_jsonl(paths.reviewed, Rationale))
    archive = ImageArchive(paths.images)
    triplets = read_jsonl(paths.triplets, Triplet)
    if not triplets:
        raise ValueError(f"{paths.triplets} holds no triplet; run the stage triplets again")
    check_triplets(triplets, splits, str(paths.triplets))
    _tell_augmented(triplets)
    asking = asking_of(params, tuple(sorted({row.image.category for row in splits})))
    metrics = train_tapo(
        start=paths.sft,
        triplets=triplets,
        read_image=archive.read,
        labels=labels_by_category(splits),
        settings=params.tapo,
        runtime=params.runtime,
        system=asking.system,
        seed=params.seed,
        output=paths.tapo,
        resume=context.resume,
        outlets=Outlets(context.log, context.log_table, context.log_image, context.is_live),
        vllm_server=context.vllm_server,
    )
    context.log_model(paths.tapo, asdict(asking))
    return metrics


def _tell_augmented(triplets: Sequence[Triplet]) -> None:
    augmented = sum(triplet.is_augmented for triplet in triplets)
    if augmented:
        logging.getLogger(__name__).warning(
            "in %d of %d triplets the positive is an augmentation of the anchor: its sub-category "
            "has no other TAPO image",
            augmented,
            len(triplets),
        )


def require_all_classes(splits: Sequence[SplitRecord], rationales: Sequence[Rationale]) -> None:
    """Raise ValueError when stage 1 had no rationale about a seen sub-category."""
    seen = {(row.image.category, row.image.label) for row in splits if row.seen}
    missing = sorted(seen - {(row.category, row.label) for row in rationales})
    if missing:
        names = ", ".join(f"{label} ({category})" for category, label in missing)
        is_released = any(row.completion is not None for row in rationales)
        more = (
            "set cot.source to teacher, whose rationales are not limited to the released ones"
            if is_released
            else "raise cot.max_attempts or split.sft_shots"
        )
        raise ValueError(
            f"{len(missing)} of {len(seen)} seen sub-categories have no rationale: {names}; "
            f"{more}, accept more in the review, or set tapo.require_rationales to false"
        )


if __name__ == "__main__":
    main("tapo", train)
