"""Human decisions on rationales: which still fit, and what they change."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from finer1.records import Decision, Rationale


@dataclass(frozen=True)
class Reviewed:
    """The rationales after the decisions."""

    rationales: list[Rationale]
    accepted: int
    rejected: int
    edited: int
    undecided: int
    """Rationales that no fitting decision is about; they pass."""
    stale: list[str]
    """Ids of decisions about a text that is no longer there; they change nothing."""


def rationale_hash(rationale: Rationale) -> str:
    """Hex SHA-256 of all fields, which a decision quotes as what was judged."""
    content = json.dumps(asdict(rationale), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def apply_decisions(rationales: Sequence[Rationale], decisions: Iterable[Decision]) -> Reviewed:
    """Accept, reject or replace; the last fitting decision on a rationale counts.

    Raises ValueError for an edit without a text, or whose text answers another question than
    the rationale it replaces.
    """
    hashes = {rationale.id: rationale_hash(rationale) for rationale in rationales}
    verdicts: dict[str, Decision] = {}
    stale = []
    for decision in decisions:
        if hashes.get(decision.id) != decision.sha256:
            stale.append(decision.id)
        else:
            verdicts[decision.id] = decision
    kept = []
    for rationale in rationales:
        verdict = verdicts.get(rationale.id)
        if verdict is None or verdict.verdict == "accept":
            kept.append(rationale)
        elif verdict.verdict == "edit":
            kept.append(_edited(rationale, verdict))
    counts = [decision.verdict for decision in verdicts.values()]
    return Reviewed(
        rationales=kept,
        accepted=counts.count("accept"),
        rejected=counts.count("reject"),
        edited=counts.count("edit"),
        undecided=len(rationales) - len(verdicts),
        stale=stale,
    )


def _edited(rationale: Rationale, decision: Decision) -> Rationale:
    edited = decision.edited
    if edited is None:
        raise ValueError(f"decision on {decision.id}: an edit needs the field `edited`")
    for name in ("id", "image_id", "category", "label", "question"):
        if getattr(edited, name) != getattr(rationale, name):
            raise ValueError(f"decision on {decision.id}: an edit must not change `{name}`")
    if edited.prediction != edited.label or edited.label not in edited.options:
        raise ValueError(
            f"decision on {decision.id}: the edited text must predict {edited.label} and have it "
            "among its options"
        )
    if edited.completion is not None:
        raise ValueError(
            f"decision on {decision.id}: set `completion` to null in `edited`, or the old text "
            "would be trained on instead of the edited sections"
        )
    return edited
