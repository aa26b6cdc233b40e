"""A reviewer for the embedded world: it knows what an image shows, and corrects what is not so.

It stands in for the person at `finer1 review` (review.stand_in), with decisions of the same kind.
The teacher errs where no filter can see it: an attribute misread, one in twenty, is a rationale
about something that the image does not show.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from finer1.records import Decision, Rationale
from finer1.teacher.decisions import rationale_hash
from finer1.world.language import caption_text, comparison_text
from finer1.world.taxonomy import Taxonomy

REVIEWER = "world"
TIME = "1970-01-01T00:00:00Z"
"""Of every decision, so that equal runs decide equally."""


def decide(world: Taxonomy, rationale: Rationale, attributes: Sequence[str]) -> Decision:
    """Accept what is true, correct what is not, reject what no correction of the two helps.

    attributes: of the image, in the order of every text. Corrected are the analysis, where it
    tells other attributes, and the comparison, where it tells a class what it has not.
    """
    is_fit = rationale.completion is None and rationale.prediction == rationale.label
    if not is_fit or rationale.label not in rationale.options:
        return _decision(rationale, "reject", reasons=("other",))
    options = [world.find(name) for name in rationale.options]
    true = replace(
        rationale, analysis=caption_text(attributes), comparison=comparison_text(options)
    )
    if true == rationale:
        return _decision(rationale, "accept")
    return _decision(rationale, "edit", edited=true)


def _decision(
    rationale: Rationale,
    verdict: Literal["accept", "reject", "edit"],
    reasons: tuple[str, ...] = (),
    edited: Rationale | None = None,
) -> Decision:
    sha256 = rationale_hash(rationale)
    return Decision(rationale.id, sha256, verdict, REVIEWER, TIME, reasons, edited)
