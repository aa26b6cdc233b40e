"""Figure 5 of Fine-R1 as the page and the disk have it."""

import io
from dataclasses import dataclass

from finer1.report.inputs import Inputs
from finer1.report.pictures import encode_uri
from finer1.teacher.concept_pairs import ConceptPair, choose_pairs, draw_pairs


@dataclass(frozen=True)
class PairsView:
    """The picture, and what is in it in words."""

    uri: str
    told: tuple[str, ...]
    """A sentence per pair."""


def show_pairs(inputs: Inputs) -> PairsView | None:
    """The figure for the page; None where no sub-category has two images with concepts."""
    pairs = find_pairs(inputs)
    if not pairs:
        return None
    return PairsView(encode_uri(pairs_picture(inputs), "png"), tuple(map(_tell, pairs)))


def pairs_picture(inputs: Inputs) -> bytes:
    """The figure as PNG; without pairs it says so."""
    buffer = io.BytesIO()
    draw_pairs(find_pairs(inputs), inputs.archive.read).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def find_pairs(inputs: Inputs) -> list[ConceptPair]:
    """The pairs of the run, at most analysis.concept_pairs."""
    params = inputs.params
    return choose_pairs(inputs.concepts, inputs.images, params.analysis.concept_pairs, params.seed)


def _tell(pair: ConceptPair) -> str:
    left, right = (", ".join(side) for side in pair.concepts)
    shared = [text for text in pair.concepts[0] if pair.is_shared(text)]
    return f"{pair.label}: {left}; beside it {right}; in both {', '.join(shared) or 'none'}"
