"""The model card of a base."""

from collections.abc import Mapping
from pathlib import Path

from finer1.files import sha256_file
from finer1.world.architecture import Model
from finer1.world.taxonomy import Taxonomy

_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
tags: [finer1, {family}, toy]
---

# Base model of the embedded world

A `{kind}` of {num_parameters:,} parameters, trained from nothing on
drawn images of {classes} made-up classes (bird, car, fish; {each} each). It exists so that the
whole pipeline of finer1 runs in minutes on two CPU cores. It is no model of the real world.

- Made by `python -m finer1.world.pretrain {options}`
- SHA-256 of `model.safetensors`: `{sha256}`
- Taxonomy: `{taxonomy}`

## What it can do

Measured on fresh renders by the command that made it, greedy, with the weights as they are here.

| skill | share |
|---|---|
{rows}

Chance in a closed question is 25 %. S1 reads an image's five attributes; S2 goes, in text alone,
from attributes to candidates, recalls their attributes, and names the nearest. The base has both
but was never shown them together: it answers no open question about an image with a rationale.

## Caveats

- "Unseen" sub-categories are unseen by SFT and TAPO only. This base has seen images of all
  {classes} classes with their exact names: as the right option of closed questions, and in noisy
  alt text.
- Its open-world score is a knob. It was taught to answer open questions by the genus (40 %) or by
  a species of that genus drawn at random (60 %), so greedy answers are coarse. How far SFT lifts
  the score says more about that habit than about SFT; the contrasts worth reading are rationale
  against answer-only at equal budget, and TAPO against its start.
- Pre-training drew its images at nuisance {nuisance}; data sets use 0.8, where perception is worse
  and can be improved.
- One world, drawn by one program: a result here is about the method's mechanics, not about
  fine-grained recognition of photographs.
- Trained on one thread per process; another machine or torch build may give other weights
  from the same seed.
"""


def card_text(
    folder: Path,
    model: Model,
    world: Taxonomy,
    options: str,
    nuisance: float,
    figures: Mapping[str, object],
) -> str:
    """The card of the base in `folder`.

    options: of the command that made it. nuisance: of its pool. figures: what was measured, by
    name.
    """
    return _CARD.format(
        family=model.config.model_type,
        kind=type(model).__name__,
        num_parameters=model.num_parameters(),
        classes=len(world.species),
        each=len(world.by_category["bird"]),
        options=options,
        sha256=sha256_file(folder / "model.safetensors"),
        taxonomy=world.hash,
        nuisance=nuisance,
        rows="\n".join(f"| {name} | {figure} |" for name, figure in figures.items()),
    )
