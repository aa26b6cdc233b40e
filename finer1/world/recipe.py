"""How a base of the world is made: its architecture, the renders it sees, its three phases.

finer1/world/configs/<name>.yaml
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from finer1.section import Count, CountOrZero, Fraction, NonNegative, Positive, Section
from finer1.section_file import read_section

_Width = Annotated[int, Field(ge=16, le=1024)]
_Layers = Annotated[int, Field(ge=1, le=48)]


class TextShape(Section):
    """The language model."""

    hidden_size: _Width
    """Width of a token, D; that of a visual token, too."""
    intermediate_size: _Width
    """Width inside the gated MLP."""
    num_layers: _Layers
    num_heads: Count
    """Query heads."""
    num_key_value_heads: Count
    """Heads of keys and values, each shared by equally many query heads."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % (16 * self.num_heads):
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be num_heads ({self.num_heads}) times a "
                "multiple of 16, which the three axes of the positions share"
            )
        if self.num_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads ({self.num_key_value_heads}) must divide num_heads "
                f"({self.num_heads})"
            )
        return self

    @property
    def mrope_section(self) -> list[int]:
        """Pairs of a head's dimensions that turn with time, row and column: 2 : 3 : 3, as Qwen."""
        part = self.hidden_size // self.num_heads // 16
        return [2 * part, 3 * part, 3 * part]


class VisionShape(Section):
    """The vision tower; every layer sees the whole image."""

    hidden_size: _Width
    """Width of a patch."""
    intermediate_size: _Width
    """Width inside the MLP: gated in qwen2_5_vl, plain in qwen2_vl."""
    num_layers: _Layers
    num_heads: Count

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % (4 * self.num_heads):
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be num_heads ({self.num_heads}) times a "
                "multiple of 4, which rows and columns share"
            )
        return self


class Architecture(Section):
    """The model, with the sizes that are not fixed by the drawings."""

    family: Literal["qwen2_5_vl", "qwen2_vl"]
    """Model type of transformers."""
    text: TextShape
    vision: VisionShape

    @model_validator(mode="after")
    def _check(self) -> Self:
        vision = self.vision
        if self.family == "qwen2_vl" and vision.intermediate_size % vision.hidden_size:
            raise ValueError(
                f"vision.intermediate_size ({vision.intermediate_size}) must be a multiple of "
                f"vision.hidden_size ({vision.hidden_size}): qwen2_vl keeps their ratio"
            )
        return self


class PoolShape(Section):
    """The renders of pre-training."""

    images: Annotated[int, Field(ge=64)]
    """How many."""
    nuisance: Fraction
    """Their nuisance; data sets use 0.8, which leaves perception something to learn."""


class Schedule(Section):
    """The optimizer steps of a phase."""

    steps: Count
    lr: Positive
    """Peak of a cosine with a short warm-up."""
    weight_decay: NonNegative


class VisionPhase(Section):
    """The vision tower learns attributes."""

    schedule: Schedule
    images: Count
    """Per step."""


class TextPhase(Section):
    """The language model learns names, attributes and reasoning, in text."""

    schedule: Schedule
    texts: Count
    """Exercises per step."""


class JointPhase(Section):
    """The language model learns to read visual tokens."""

    schedule: Schedule
    images: Count
    """Exercises about an image, per step."""
    unrelated: CountOrZero
    """Text exercises beside an image that they are not about, per step."""
    texts: CountOrZero
    """Exercises without an image, per step."""


class Phases(Section):
    """The three phases; vision and text run side by side, joint after them."""

    vision: VisionPhase | None
    text: TextPhase | None
    joint: JointPhase


class Recipe(Section):
    """All that makes a base, but for the seed and the taxonomy."""

    architecture: Architecture
    start: Path | None
    """Folder of a base with the same words, from whose weights the joint phase starts in place of
    the two others; null for random weights."""
    pool: PoolShape
    phases: Phases

    @model_validator(mode="after")
    def _check(self) -> Self:
        if {self.phases.vision is None, self.phases.text is None} != {self.start is not None}:
            raise ValueError(
                "phases.vision and phases.text stand for start: give both and start: null, or "
                "null for both and a start"
            )
        return self


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises ValueError with one sentence per wrong or missing key."""
    return read_section(Recipe, path, "a recipe")
