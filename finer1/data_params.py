"""Where files lie, and the settings of the stages that make data: type, unit, bound, symbol."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from finer1.section import Count, CountOrZero, Fraction, NonNegative, Positive, Section


class Paths(Section):
    """Where every artifact lies, relative to the project's folder."""

    base: Path
    """The base model: a Hugging Face folder (config, safetensors, tokenizer, processor)."""
    images: Path
    """All images of the run, one uncompressed zip archive."""
    index: Path
    """ImageRecord rows."""
    splits: Path
    """SplitRecord rows."""
    concepts: Path
    """Concepts rows."""
    rationales: Path
    """Rationale rows that passed the filters."""
    cot_yield: Path
    """Asked, kept and rejected (with reason) per class, CSV."""
    decisions: Path
    """Human decisions, Decision rows; an input."""
    reviewed: Path
    """Rationale rows after the human decisions."""
    sft: Path
    """The model after stage 1, a Hugging Face folder."""
    triplets: Path
    """Triplet rows."""
    questions: Path
    """Question rows."""
    tapo: Path
    """The model after stage 2, a Hugging Face folder."""
    predictions: Path
    """Folder of Prediction rows, a file per model."""
    verdicts: Path
    """Verdict rows of all models."""
    metrics: Path
    """Folder of metrics, a JSON file per stage."""
    logs: Path
    """Folder of metrics over steps, a JSON-lines file per training stage."""
    report: Path
    """The HTML report."""


class WorldParams(Section):
    """The embedded world's renders (dataset `world` only)."""

    seed: int
    """Seed of the renders; the taxonomy itself is fixed with the base model."""
    train_per_class: Count
    """Training renders per sub-category."""
    validation_per_class: Count
    """Validation renders per sub-category."""
    test_per_class: Count
    """Test renders per sub-category."""
    nuisance: Fraction
    """Strength of pose, light, clutter, occlusion and noise; pre-training used 0.5."""


class FolderParams(Section):
    """Own images in class folders (dataset `folder` only)."""

    test_every: Annotated[int, Field(ge=2)]
    """One image in this many of each sub-category is for the test."""


class DownloadParams(Section):
    """Images from their source into one archive and an index."""

    dataset: str
    """Reader: a module of finer1/datasets."""
    content: str | None
    """SHA-256 over the source folder, for datasets read from one; `finer1 run --root` sets it."""
    subset: bool
    """Accept fewer images and classes than the official dataset has, and report it."""
    world: WorldParams
    folder: FolderParams


class SplitParams(Section):
    """Seen and unseen sub-categories, and the part each image plays."""

    classes: Literal["random", "released"]
    """Draw the seen sub-categories by seed, or take the released list (Fine-R1)."""
    seen_fraction: Annotated[float, Field(gt=0, lt=1)]
    """Share of the sub-categories that are seen, floor(fraction x n) per category; 0.6."""
    sft_shots: Count
    """Training images per seen sub-category for stage 1 (k)."""
    tapo_shots: Annotated[int, Field(ge=2)]
    """Training images per seen sub-category for stage 2, disjoint from stage 1's."""


class ConceptsParams(Section):
    """Visual concepts per image (Sec. 4.2 of Fine-R1, arXiv:2502.14044)."""

    engine: str
    """Engine that writes captions and candidate concepts."""
    captions_per_instruction: Count
    """Samples of each of the three instructions per image; 10, so that m = 30."""
    temperature: NonNegative
    """Sampling temperature of the captions."""
    max_tokens: Count
    """Longest caption, tokens."""
    candidates: Literal["class_list", "captions"]
    """Candidate concepts: a list the teacher gives per class, or phrases of the captions."""
    encoder: str
    """Text encoder: `char_ngrams` (offline) or `st:<sentence-transformers model>`."""
    tau: Positive
    """Temperature of the InfoNCE estimate (tau)."""
    threshold_std: float
    """Keep concepts above mean + this many standard deviations of the scores."""
    min_concepts: Count
    """Concepts kept at least."""
    max_negatives: Count
    """Captions of other sub-categories that enter the estimate (L), drawn by seed."""


class CotParams(Section):
    """Teacher rationales with rejection sampling (Sec. 4.2, Table 5 of Fine-R1)."""

    engine: str
    """Engine that writes rationales."""
    temperature: NonNegative
    """Sampling temperature."""
    top_p: Fraction
    """Nucleus of the sampling."""
    max_tokens: Count
    """Longest rationale, tokens."""
    max_attempts: Count
    """Samples drawn per image until one passes all filters."""
    max_options: Annotated[int, Field(ge=2)]
    """Sub-categories a rationale may consider; 4."""
    min_words: CountOrZero
    """Shortest rationale, words."""
    max_words: Count
    """Longest rationale, words."""


class ReviewParams(Section):
    """Human decisions on rationales."""

    mode: Literal["pass", "apply"]
    """Pass everything through, or apply the decisions file."""


class TripletsParams(Section):
    """Positive and nearest-negative images (Sec. 4.3 of Fine-R1)."""

    encoder: str
    """`base_model`: mean image tokens of the base's vision tower; `open_clip:<model>[/<tag>]`."""
    negative: Literal["nearest", "random"]
    """Negative sub-category: most similar class mean, or drawn by seed."""


class QuestionsParams(Section):
    """Evaluation questions."""

    part: Literal["validation", "test"]
    """Images to ask about."""
    images_per_class: Count
    """Images asked about per sub-category, at most."""
    options: Literal["siblings", "random"]
    """Source of the other options of closed questions."""
    num_options: Annotated[int, Field(ge=2)]
    """Options of a closed question, the truth included; 4."""
