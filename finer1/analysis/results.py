"""What the analysis of one model gives, as its file holds it.

<paths.predictions>/analysis@<name>.json
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from finer1.files import write_atomic
from finer1.records import row


@row
class Accuracy:
    """A share of right decisions with its interval over classes."""

    value: float
    low: float
    high: float


@row
class ProbeRule:
    """The probe after the epoch that a rule chose."""

    epoch: int
    """From 1."""
    accuracy: Accuracy
    is_right: tuple[bool, ...]
    """Of each test image, in the order of Analysis.test_ids."""


@row
class ProbeFigures:
    """The linear probe."""

    num_classes: int
    left_out: int
    """Sub-categories with test images that have no training image."""
    num_train: int
    num_validation: int
    best_on_test: ProbeRule
    """The paper's rule, which leaks."""
    last: ProbeRule
    best_on_validation: ProbeRule


@row
class LayerFigures:
    """Similarity in one hidden state; 0 is what enters the first layer."""

    congener: float
    """Mean cosine to the congener."""
    others: float
    """Mean cosine to sub-categories of other genera."""
    delta: float
    """The first less the second."""
    low: float
    high: float
    t: float | None
    """Paired, of the deltas against zero; None where all are equal."""
    p: float | None
    permutation_p: float


@row
class SimilarityFigures:
    """Similarity of sub-categories of one genus."""

    level: str
    """What the taxonomy calls the genus."""
    targets: tuple[str, ...]
    """The sub-categories that were compared."""
    left_out: int
    """Sub-categories without a congener or enough others."""
    layers: tuple[LayerFigures, ...]
    deltas: tuple[float, ...]
    """Of each target in the last state."""


@row
class SeparabilityFigures:
    """True and false names, told apart by the last hidden state."""

    accuracy: Accuracy
    chance: float
    """Mean over labels permuted by sub-category."""
    p: float
    plane: Accuracy
    """By the two components that are drawn, alone."""
    explained: tuple[float, float]
    """Shares of the variance in those."""
    left_out: int
    """Sub-categories of categories with too few to hold some out."""
    ids: tuple[str, ...]
    """Image ids."""
    classes: tuple[str, ...]
    """Their sub-categories."""
    is_right: tuple[bool, ...]
    """Of the true statements in the order of `ids`, then of the false ones."""
    true_points: tuple[tuple[float, float], ...]
    false_points: tuple[tuple[float, float], ...]


@row
class Analysis:
    """Everything about one model."""

    model: str
    """Path, as analysis.models has it."""
    identity: str
    """Number format and content of the weights."""
    test_ids: tuple[str, ...]
    """Test images of the probe."""
    test_classes: tuple[str, ...]
    """Their sub-categories, as everywhere here `<dataset>/<category>/<sub-category>`."""
    probe: ProbeFigures
    similarity: SimilarityFigures | None
    """None where no sub-category has a congener and enough others."""
    separability: SeparabilityFigures


def write_analysis(path: Path, analysis: Analysis) -> None:
    """Write the file, whole or not at all."""
    write_atomic(path, TypeAdapter(Analysis).dump_json(analysis) + b"\n")


def read_analyses(folder: Path, names: Iterable[str]) -> dict[str, Analysis]:
    """Model of params.analysis -> its analysis. Raises ValueError for a broken file."""
    found = {}
    for name in names:
        path = folder / f"analysis@{name}.json"
        try:
            found[name] = TypeAdapter(Analysis).validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "file"
            raise ValueError(
                f"{path}: {where}: {first['msg']}; run analysis@{name} again"
            ) from error
    return found
