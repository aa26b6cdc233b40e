"""The settings of the stages that ask, score and report: type, unit, bound."""

from collections.abc import Callable, Hashable
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from finer1.section import Count, CountOrZero, NonNegative, Positive, Section

Strategy = Literal["trained", "released", "direct", "cot", "think", "in_context"]
"""How a model is asked (finer1/evaluation/strategies.py): as it was trained here; in the released
evaluator's words; for the name alone; to think step by step; to think in think tags; with an
example image per option that is a seen class."""

OwnModel = Literal["base", "sft", "tapo"]
OWN_MODELS: tuple[str, ...] = get_args(OwnModel)
"""The models of a run itself, in the order in which they come to be."""

Item = TypeVar("Item", bound=Hashable)


def _each_once(values: tuple[Item, ...]) -> tuple[Item, ...]:
    # A bound on the length would be reported beside every unknown value, and untruly.
    if not values:
        raise PydanticCustomError("none_named", "name at least one")
    for value in values:
        if values.count(value) > 1:
            raise PydanticCustomError(
                "named_twice", "{value} comes twice; name each once", {"value": value}
            )
    return values


def _not_own(name: str) -> str:
    if name in OWN_MODELS:
        raise PydanticCustomError(
            "own_model",
            "{name} is a model of the run itself, which is asked in any case; choose another name",
            {"name": name},
        )
    return name


ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Lower case, digits, underscores."""


class ModelEntry(Section):
    """A model that a stage of its own asks."""

    model: str
    """A path: a folder of weights, a folder of LoRA adapters, or an entry of the zoo, a YAML file
    that names a model of the hub, of open_clip or of a server (finer1/zoo)."""
    strategy: Strategy
    """How it is asked; a CLIP model is always asked for the option that fits the image best."""
    max_tokens: Count | None
    """Longest completion, tokens; null takes predict.max_tokens."""


class VotesParams(Section):
    """Sampled answers of the run's own models, for the share of votes."""

    samples: CountOrZero
    """Completions sampled per question beside the greedy one; 0 for none."""
    temperature: Annotated[float, Field(gt=0)]
    """Their temperature."""
    images_per_class: Count
    """Images per sub-category, at most, whose questions are asked so."""
    models: tuple[OwnModel, ...]
    """The models that are."""


class PredictParams(Section):
    """Completions of each model for each question."""

    max_tokens: Count
    """Longest completion, tokens."""
    temperature: NonNegative
    """0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)]
    """Nucleus; without effect when greedy."""
    strategy: Strategy
    """How the run's own models are asked."""
    votes: VotesParams
    models: dict[Annotated[ModelName, AfterValidator(_not_own)], ModelEntry]
    """Further models by name, each asked by a stage `baseline@<name>` of its own."""


class ScoreParams(Section):
    """Accuracies, similarities and their intervals."""

    bootstrap_samples: Count
    """Bootstrap resamples of classes."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Level of the intervals; 0.95."""
    encoder: str
    """Text encoder of the semantic similarity (Eq. 5): `char_ngrams` (offline, spelling alone),
    `siglip:<folder or owner/name@commit>` of transformers, the paper's being
    google/siglip-base-patch16-256, or `open_clip:<model>:<tag or file>`, `open_clip:<folder>`."""


Corruption = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "motion_blur",
    "fog",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
]
"""What finer1/robustness/corruptions.py can do to an image."""


class RobustnessParams(Section):
    """Questions about corrupted images; finer1/robustness says which corruptions there are."""

    models: dict[ModelName, ModelEntry]
    """By name, each asked by a stage `robustness@<name>` of its own; none by default. A path may
    also be a folder of the run: models/tapo."""
    corruptions: Annotated[tuple[Corruption, ...], AfterValidator(_each_once)]
    """Which ones, each once."""
    severities: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], AfterValidator(_each_once)]
    """1 to 5, each once."""
    images_per_class: Count
    """Images asked about per sub-category, at most, among those of the questions."""
    setting: Literal["open", "closed"]
    """The questions that are asked; a CLIP model answers closed ones alone."""


class NamedModel(Section):
    """A model of the stages `general` and `analysis`, which ask in their own ways."""

    model: str
    """As in predict.models, or a folder of the run: models/tapo."""


class GeneralParams(Section):
    """General benchmarks (Table 8 of Fine-R1), by lmms-eval and a task of our own."""

    models: dict[ModelName, NamedModel]
    """By name, each in a stage `general@<name>` of its own; none by default."""
    tasks: Annotated[
        tuple[Literal["mme", "mmbench", "seed", "imagewikiqa"], ...], AfterValidator(_each_once)
    ]
    """Benchmarks to take: three by lmms-eval, imagewikiqa by the project's own engines."""
    max_tokens: Count
    """Longest completion, tokens; models that think need more than the tasks' own limits."""
    limit: Count | None
    """Questions per task; null asks all."""


class ProbeParams(Section):
    """The linear probe (Table 4 of Fine-R1)."""

    epochs: Count
    """Passes over the training images; 500."""
    lr: Positive
    """Learning rate of Adam; 1e-4."""
    batch_size: Count
    """Images per step; 512."""
    images_per_class: Count | None
    """Images per sub-category and side, at most, drawn by seed; null takes all."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    """Share of the training images kept for validation, in a dataset without a validation side."""


class SimilarityParams(Section):
    """The similarity of sub-categories of one genus (Table 4 of Fine-R1)."""

    images_per_class: Count
    """Test images whose features a sub-category is the mean of, at most."""
    others: Count
    """Sub-categories of other genera that a congener is compared with; 4."""


def _only_field(name: str, is_needed: bool) -> Callable[[str], str]:
    """A check that a text has no brace but those of one field, once or not at all."""
    field = f"{{{name}}}"

    def check(text: str) -> str:
        rest = text.replace(field, "", 1)
        if "{" in rest or "}" in rest or (is_needed and rest == text):
            wanted = "write {field} once, and" if is_needed else "it may have {field} once, and"
            raise PydanticCustomError("wrong_field", f"{wanted} no other brace", {"field": field})
        return text

    return check


class SeparabilityParams(Section):
    """True and false names in the last hidden state (Figure 4 of Fine-R1)."""

    images_per_class: Count
    """Test images per sub-category, at most; each gives a true and a false statement. All of a
    category have as many as its poorest."""
    statement: Annotated[str, AfterValidator(_only_field("name", True))]
    """Beginning of an answer, whose last token is looked at; {name} at its end."""
    folds: Annotated[int, Field(ge=2)]
    """Folds of the cross-validation, over sub-categories."""
    ridge: Positive
    """Penalty of the linear classifier on standardized features, per training row."""


class AnalysisParams(Section):
    """What hidden states hold (Table 4, Figures 4 and 5 of Fine-R1)."""

    models: dict[ModelName, NamedModel]
    """By name, each in a stage `analysis@<name>` of its own; none by default. The first is what
    the others are compared with."""
    prompt: Annotated[str, AfterValidator(_only_field("category", False))]
    """The user's text beside the image; {category} stands for the super-category."""
    probe: ProbeParams
    similarity: SimilarityParams
    separability: SeparabilityParams
    permutations: Count
    """Random permutations of each permutation test."""
    concept_pairs: Count
    """Sub-categories that Figure 5 shows with the concepts of two images, at most."""


class ReportParams(Section):
    """The HTML page."""

    samples: CountOrZero
    """Images shown with rationale and verdict, per model."""
    title: str
    """Headline of the page."""
    published: dict[OwnModel, str]
    """Model of the run -> the published row that it stands for, as tapo: Fine-R1-3B for a run that
    trains what the paper trained; the others are compared with none."""
    caveats: dict[str, tuple[str, ...]]
    """Dataset -> sentences that must stand beside its result table."""
