"""Stage `review`: the rationales after human decisions; all of them when the review is off.

    python -m tasks.review

Reads paths.rationales and, with review.mode `apply`, paths.decisions; writes paths.reviewed.
"""

import logging

from finer1.records import Decision, Rationale, read_jsonl, write_jsonl
from finer1.teacher.decisions import apply_decisions
from tasks.stage import Context, main


def review(context: Context) -> dict[str, float]:
    """Apply the decisions that still fit, report those that do not."""
    paths, mode = context.params.paths, context.params.review.mode
    rationales = read_jsonl(paths.rationales, Rationale)
    decisions = read_jsonl(paths.decisions, Decision) if mode == "apply" else []
    reviewed = apply_decisions(rationales, decisions)
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
        "review/kept": len(reviewed.rationales),
        "review/accepted": reviewed.accepted,
        "review/rejected": reviewed.rejected,
        "review/edited": reviewed.edited,
        "review/undecided": reviewed.undecided,
        "review/stale": len(reviewed.stale),
    }


if __name__ == "__main__":
    main("review", review)
