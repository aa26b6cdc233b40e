"""The settings of experiments side by side: type, unit, bound."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from finer1.section import Fraction, Section

Need = Literal["clip", "decisions"]
"""What a row may need that no stage makes: weights of CLIP models, human decisions."""

ColumnName = Annotated[
    str, Field(pattern=r"^(open|closed)/(seen|unseen|average)/(accuracy|similarity)$")
]
"""`<setting>/<side>/<measure>`; average is the mean of seen and unseen, equally weighted."""


class ExperimentGroup(Section):
    """Experiments over seeds, side by side in one table."""

    paper: str | None
    """Table or figure of the paper, `Figure 3c`; null for one that the paper does not have."""
    about: Annotated[str, Field(min_length=1)]
    """What its rows differ in, in a few words."""
    columns: tuple[ColumnName, ...]
    """What is measured; those of the paper's table first."""
    seeds: tuple[int, ...]
    """Every run is made once per seed."""
    settings: tuple[str, ...]
    """Full-scale settings that it can run on (--on), or that are `like` one of them; none: it is
    about the embedded default alone."""
    rows: dict[str, Annotated[str, Field(pattern=r"^\w+/[a-z][a-z0-9_]*$")]]
    """Title of a row -> `<experiment>/<model>`: base, sft, tapo, or one of its predict.models."""
    needs: dict[str, Need]
    """Title of a row -> what it needs besides; where that is not there, the row is left out."""
    published: dict[str, str]
    """Title of a row -> what the paper's table calls it."""
    pairs: tuple[tuple[str, str], ...]
    """Titles whose paired difference is printed, the first minus the second."""

    @model_validator(mode="after")
    def _check_titles(self) -> Self:
        named = {
            "pairs": [title for pair in self.pairs for title in pair],
            "needs": list(self.needs),
            "published": list(self.published),
        }
        for key, titles in named.items():
            for title in titles:
                if title not in self.rows:
                    raise PydanticCustomError(
                        "no_row",
                        "{key} names {title}, which is no row of the group",
                        {"key": key, "title": title},
                    )
        return self


class ComparisonParams(Section):
    """How experiments are compared."""

    margin: Fraction
    """Differences smaller than this count as none: 0.02 is 2 points."""
    gate: Fraction
    """A model is champion when the interval of its open accuracy less the present champion's, or
    the base's, lies above this: 0.02 is 2 points."""
