"""Stage `review`: the rationales after human decisions; all of them when the review is off.

    python -m tasks.review

Reads paths.rationales and, with review.mode `apply`, paths.queue and paths.decisions, with
review.stand_in also paths.images; writes paths.reviewed. The decisions come from `finer1 review`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from finer1.images import ImageArchive
from finer1.records import Decision, Queued, Rationale, read_jsonl, write_jsonl
from finer1.teacher.decisions import (
    REJECT_REASONS,
    Reviewed,
    apply_decisions,
    standing_decisions,
    text_key,
    wilson_interval,
)
from finer1.world.reviewer import decide
from finer1.world.taxonomies import load_taxonomy
from tasks.stage import Context, main


def review(context: Context) -> dict[str, float]:
    """Apply the decisions that still fit, report those that do not."""
    paths, settings = context.params.paths, context.params.review
    is_on = settings.mode == "apply"
    rationales = read_jsonl(paths.rationales, Rationale)
    queued = read_jsonl(paths.queue, Queued) if is_on else []
    decisions = _decisions(paths.decisions) if is_on else []
    stand_in = _stand_in(context, rationales, decisions)
    queued_stand_in = _stand_in(context, [row.rationale for row in queued], decisions)
    reviewed = apply_decisions(
        rationales,
        queued,
        [*decisions, *stand_in, *queued_stand_in],
        context.params.cot.max_options,
    )
    write_jsonl(paths.reviewed, reviewed.rationales)
    if reviewed.stale:
        logging.getLogger(__name__).warning(
            "%d decisions in %s are about texts that have changed and are not applied, "
            "the first is on %s; judge these rationales again",
            len(reviewed.stale),
            paths.decisions,
            reviewed.stale[0],
        )
    return {
        "review/rationales": len(rationales),
        "review/queued": len(queued),
        "review/kept": len(reviewed.rationales),
        "review/stale": len(reviewed.stale),
        "review/stand_in": len(stand_in),
        "review/queued_stand_in": len(queued_stand_in),
        **_counts(reviewed),
        **_acceptance(reviewed, settings.confidence),
    }


def _decisions(path: Path) -> list[Decision]:
    """The rows; only the page repairs the file, which is an input here."""
    try:
        return read_jsonl(path, Decision)
    except ValueError as error:
        raise ValueError(
            f"{error}; a last line that was not fully written `finer1 review` cuts off, any other "
            "is to be corrected by hand"
        ) from error


def _stand_in(
    context: Context, rationales: Sequence[Rationale], decisions: Sequence[Decision]
) -> list[Decision]:
    """Decisions of the embedded world's reviewer on what nobody has judged; none when it is off."""
    settings = context.params.review
    if settings.mode == "pass" or settings.stand_in == "none":
        return []
    judged = standing_decisions(decisions)
    archive = ImageArchive(context.params.paths.images)
    world = load_taxonomy(context.params.download.world.taxonomy)
    return [
        decide(world, row, archive.read(row.image_id).info["attributes"].split())
        for row in rationales
        if text_key(row) not in judged and row.image_id.startswith("world/")
    ]


def _counts(reviewed: Reviewed) -> dict[str, float]:
    """Verdicts on filtered and on queued rationales, and the reasons of the rejects."""
    filtered = {f"review/{name}": count for name, count in vars(reviewed.filtered).items()}
    queued = {f"review/queued_{name}": count for name, count in vars(reviewed.queued).items()}
    return {
        **filtered,
        **queued,
        **{f"review/reason_{name}": reviewed.reasons[name] for name in REJECT_REASONS},
    }


def _acceptance(reviewed: Reviewed, confidence: float) -> dict[str, float]:
    """Share accepted as written among the judged rationales that had passed the filters, which
    says how good these are; nothing where none was judged."""
    counts = reviewed.filtered
    judged = counts.accepted + counts.edited + counts.rejected
    if not judged:
        return {}
    rate = wilson_interval(counts.accepted, judged, confidence)
    return {
        "review/acceptance": rate.value,
        "review/acceptance_low": rate.low,
        "review/acceptance_high": rate.high,
    }


if __name__ == "__main__":
    main("review", review)
