"""Where files lie, and the settings of the stages that make data: type, unit, bound, symbol."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from finer1.section import Count, CountOrZero, Fraction, NonNegative, Positive, Section

LOCAL = ("/", "./")
"""How a copy's name begins that is a folder of this machine."""

DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class WorldParams(Section):
    """The embedded world's renders (dataset `world` only)."""

    taxonomy: str
    """Which classes there are: `embedded`, those of the committed base, `large_<seed>` or
    `twins_<seed>`."""
    seed: int
    """Seed of the renders."""
    train_per_class: Count
    """Training renders per sub-category."""
    validation_per_class: Count
    """Validation renders per sub-category."""
    test_per_class: Count
    """Test renders per sub-category."""
    nuisance: Fraction
    """Strength of pose, light, clutter, occlusion and noise; pre-training used 0.5."""


def _pinned(source: str) -> str:
    """A copy's contents may change under any other name than a commit's."""
    copy = source.removeprefix("hub:")
    is_pinned = re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", copy, re.ASCII)
    if source.startswith("hub:") and not is_pinned and not copy.startswith(LOCAL):
        raise PydanticCustomError(
            "not_pinned",
            "write hub:<owner>/<name>@<commit>, the commit with its 40 hex digits, as the copy's "
            "page on the hub shows it under Files, History; or hub:/... or hub:./... for a folder",
        )
    return source


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("twice", "a dataset is named twice; name each once")
    return names


class OfficialParams(Section):
    """Where one of the six published datasets is read from."""

    source: Annotated[str, Field(pattern=r"^(folder|official|hub:.+)$"), AfterValidator(_pinned)]
    """`folder`: the official layout below --root; `official`: downloaded from its own site;
    `hub:<id>@<revision>`: a copy on the Hugging Face hub, at a commit (40 hex digits), or
    `hub:<folder>`, one on this machine (/... or ./...)."""
    subset: bool
    """Accept fewer images and classes than the official dataset has, and `.mat` files that no list
    names; each is reported."""


class DownloadParams(Section):
    """Images from their sources into an archive per dataset and one index."""

    datasets: Annotated[tuple[DatasetName, ...], Field(min_length=1), AfterValidator(_once)]
    """world, any of the six published ones below, or one of your own (`finer1 data add`)."""
    content: str | None
    """SHA-256 over the folders that are read; `finer1 run` sets it."""
    bad_images: Literal["refuse", "skip"]
    """Stop at images that cannot be read, or leave them out and report them."""
    duplicates: Literal["refuse", "count"]
    """Stop at equal files in several classes, sides or parts, or count and report them."""
    world: WorldParams
    aircraft: OfficialParams
    bird: OfficialParams
    car: OfficialParams
    dog: OfficialParams
    flower: OfficialParams
    pet: OfficialParams

    def official(self, dataset: str) -> OfficialParams | None:
        """The settings of a published dataset; None for the world and for one's own."""
        found = getattr(self, dataset, None)
        return found if isinstance(found, OfficialParams) else None

    def is_own(self, dataset: str) -> bool:
        """True for a dataset of one's own, which `finer1 data add` makes."""
        return dataset != "world" and self.official(dataset) is None

    def asks_the_hub(self) -> bool:
        """True when a dataset of the run is copied from the Hugging Face hub."""
        found = (self.official(dataset) for dataset in self.datasets)
        return any(item is not None and item.source.startswith("hub:") for item in found)

    def is_subset(self, dataset: str) -> bool:
        """True when the dataset may lack a part of what is published."""
        found = self.official(dataset)
        return found is not None and found.subset


class SplitParams(Section):
    """Seen and unseen sub-categories, and the part each image plays."""

    classes: Literal["random", "released"]
    """Draw the seen sub-categories by seed, or take the released list (Fine-R1)."""
    seen_fraction: Annotated[float, Field(gt=0, lt=1)]
    """Share of the sub-categories that are seen, floor(fraction x n) per category; 0.6."""
    sft_shots: Count
    """Training images per seen sub-category for stage 1 (k)."""
    tapo_shots: Count
    """Training images per seen sub-category for stage 2."""
    overlap: bool
    """A sub-category with fewer images than sft_shots + tapo_shots uses some for both stages;
    without, it is refused."""
    shared: bool
    """SFT and TAPO take the same images of each sub-category, the first ones; the 2-shot protocol
    of Fine-R1."""
    sft_images: Literal["drawn", "released"]
    """Stage 1's images by seed, or those of the released rationales where a class has one."""


class ConceptsParams(Section):
    """Visual concepts per image (Sec. 4.2 of Fine-R1, arXiv:2502.14044)."""

    engine: str
    """Engine that writes captions and candidate concepts."""
    captions_per_instruction: Count
    """Samples of each of the three instructions per image; 10, so that m = 30."""
    temperature: NonNegative
    """Sampling temperature of the captions and of the lists."""
    max_tokens: Count
    """Longest caption and longest list, tokens; the last line of a list that was cut is dropped."""
    candidates: Literal["class_list", "captions"]
    """Candidate concepts: a list the teacher gives per class, or phrases of the captions."""
    encoder: str
    """Text encoder: `char_ngrams` (offline), `hf:<model>` of transformers or `st:<model>` of
    sentence-transformers, the model a folder or `<owner>/<name>@<commit>` of the hub."""
    tau: Positive
    """Temperature of the InfoNCE estimate (tau)."""
    threshold_std: float
    """Keep concepts above mean + this many standard deviations of the scores."""
    min_concepts: Count
    """Concepts kept at least."""
    negatives: Literal["category", "any"]
    """Captions of other sub-categories that a concept is told from: those of the same
    super-category, which is where it has to distinguish, or those of all of them."""
    max_negatives: Count
    """Captions of other sub-categories that enter the estimate (L), drawn by seed."""


class RungParams(Section):
    """One rung of the ladder that an image without a rationale climbs."""

    attempts: Count
    """Samples drawn at most."""
    temperature: NonNegative
    """Sampling temperature."""
    image: Literal["same", "other"]
    """Ask about the same image again, or about another free training image of its class."""


class CotParams(Section):
    """Teacher rationales with rejection sampling (Sec. 4.2, Table 5 of Fine-R1)."""

    source: Literal["teacher", "released"]
    """Rationales from the engine, or those of the Fine-R1 release (paths.released)."""
    engine: str
    """Engine that writes rationales."""
    temperature: NonNegative
    """Sampling temperature."""
    top_p: Fraction
    """Nucleus of the sampling."""
    max_tokens: Count
    """Longest rationale, tokens."""
    max_attempts: Count
    """Samples drawn per image until one passes all filters; the first rung."""
    ladder: Annotated[tuple[RungParams, ...], Field(max_length=8)]
    """What is tried after them, in this order, for what is still without a rationale."""
    show_concepts: bool
    """Tell the teacher the visual concepts of the image; false is an ablation."""
    filter: bool
    """Keep what passes the filters alone; false (ablation) keeps the first sample of each image,
    whatever it says, and counts by reason what the filters would have rejected."""
    per_class: Count | None
    """Images of part sft asked about per seen sub-category at most, the first shots; null asks
    about all of them. Unlike fewer split.sft_shots it leaves TAPO its images."""
    total: Count | None
    """Rationales wanted over all seen classes, from images asked in turn over the classes, at most
    split.sft_shots of each; null asks about all of them. 404, 804, 1199 in Table 3b of Fine-R1."""
    price_per_million_tokens: NonNegative | None
    """Price of a million generated tokens in any currency, for the cost in the report."""
    max_options: Annotated[int, Field(ge=2)]
    """Sub-categories a rationale may consider; 4."""
    options: Literal["known", "any"]
    """What they may be: sub-categories of the data (of the embedded world, where there are no
    others), or anything that is no word for a category and no sub-category of another one: real
    teachers name real species that are not in the data."""
    min_words: CountOrZero
    """Shortest rationale, words."""
    max_words: Count
    """Longest rationale, words."""


class ReviewParams(Section):
    """Human decisions on rationales."""

    mode: Literal["pass", "apply"]
    """Pass everything through, or apply the decisions file and keep a queue for a person."""
    stand_in: Literal["none", "world"]
    """Who judges what the decisions file does not, with mode `apply`: nobody; or, where the image
    is of the embedded world, a reviewer that knows its attributes (finer1/world/reviewer.py)."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Level of the acceptance rate's interval, 0.95."""


class TripletsParams(Section):
    """Positive and nearest-negative images (Sec. 4.3 of Fine-R1)."""

    encoder: str
    """`base_model`: mean image tokens of the base's vision tower; `colour_texture`: a baseline
    without weights; `open_clip:<model>:<tag or checkpoint file>`; `open_clip:<folder>`."""
    negative: Literal["nearest", "random", "siblings"]
    """Negative sub-category: by similarity of class means, drawn by seed, or by similarity among
    those of the same group."""
    rank: Count
    """The k-th nearest; 1 is the nearest."""


class QuestionsParams(Section):
    """Evaluation questions."""

    part: Literal["validation", "test"]
    """Images to ask about."""
    images_per_class: Count
    """Images asked about per sub-category, at most."""
    source: Literal["built", "released"]
    """Questions built here, or those of the Fine-R1 release (paths.released)."""
    order: Literal["shuffled", "stored"]
    """Order of the options: by seed, or with the truth first, as all released questions are
    stored."""
    options: Literal["siblings", "random", "clip", "foci"]
    """Source of the other options of built closed questions; clip: the likeliest by `encoder`;
    foci: those of the released questions about the image (paths.released)."""
    encoder: str
    """The text and image encoder of `clip`, as in triplets.encoder."""
    num_options: Annotated[int, Field(ge=2)]
    """Options of a closed question, the truth included; 4."""

    @model_validator(mode="after")
    def _check_released(self) -> Self:
        """What is stored is the release's: four options about test images."""
        if self.source == "released" and (self.part, self.num_options) != ("test", 4):
            raise PydanticCustomError(
                "not_as_released",
                "source is released, whose questions have 4 options about test images, but part "
                "is {part} and num_options {count}; set part to test and num_options to 4, or "
                "source to built",
                {"part": self.part, "count": self.num_options},
            )
        return self

    @model_validator(mode="after")
    def _check_foci(self) -> Self:
        """The released lists are about test images, four names each."""
        is_foci = self.source == "built" and self.options == "foci"
        if is_foci and (self.part != "test" or self.num_options > 4):
            raise PydanticCustomError(
                "not_in_lists",
                "options are foci, the released lists of 4 for test images, but part is {part} and "
                "num_options {count}; set part to test and num_options to 4 or fewer, or options "
                "to siblings, random or clip",
                {"part": self.part, "count": self.num_options},
            )
        return self
