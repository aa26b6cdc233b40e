"""How much there is to do: images, prompts, steps and tokens of a run, from its settings alone."""

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from finer1.params import Params
from finer1.planning.assumptions import (
    IMAGE_TOKENS,
    KEEP_RATE,
    OPTIONS_TOKENS,
    QUESTION_TOKENS,
    RATIONALE_WORDS,
    TOKENS_PER_WORD,
)
from finer1.reference.classes import released_classes
from finer1.world.taxonomies import load_taxonomy

_FACTS = Path(__file__).parents[1] / "reference/datasets.tsv"
_INSTRUCTIONS = 3
"""A caption of each is asked for (finer1/teacher/caption_prompts.py)."""
_LARGEST_IMAGE = 12_845_056
"""Pixels; what the published image processors allow."""
_PIXELS_PER_TOKEN = 28 * 28


@dataclass(frozen=True)
class DatasetSize:
    """What a dataset holds."""

    seen: int
    """Seen sub-categories."""
    unseen: int
    train: int
    """Official training images, validation ones included."""
    test: int
    bytes: int
    """Of what is downloaded."""
    rationales: int
    """Released ones (Fine-R1); 0 where there are none."""


@dataclass(frozen=True)
class Tokens:
    """Longest, which memory must hold, and mean, which time goes by."""

    longest: int
    mean: int


@dataclass(frozen=True)
class Counts:
    """What the stages go through."""

    datasets: Mapping[str, DatasetSize]
    image: Tokens
    """Tokens of an image."""
    prompt: Tokens
    """Of an open question with its image."""
    rationale: Tokens
    """Of a completion of stage 1."""
    rollout: Tokens
    """Of a completion of stage 2."""
    answer: Tokens
    """Of a completion of predict."""
    sft_rows: int
    """At most: some sub-categories may lose their rationales."""
    sft_steps: int
    tapo_prompts: int
    """Anchors, one epoch."""
    captions: int
    rationales_asked: int
    """At least: one attempt an image."""
    questions: int
    """Of one model: open and closed."""

    @property
    def images(self) -> int:
        """All images of the datasets."""
        return sum(size.train + size.test for size in self.datasets.values())


def count(params: Params, base: Path) -> Counts:
    """What a run with these settings goes through; base: the folder of paths.base.

    Raises ValueError for a dataset whose size is not known.
    """
    datasets = {name: _size(name, params) for name in params.download.datasets}
    seen = sum(size.seen for size in datasets.values())
    image = _image_tokens(params, base)
    prompt = Tokens(image.longest + QUESTION_TOKENS, image.mean + QUESTION_TOKENS)
    rationale = _rationale_tokens(params)
    is_taught = params.cot.source == "teacher"
    shots = seen * params.split.sft_shots
    cot = params.cot
    taught = num_taught(seen, params.split.sft_shots, cot.per_class, cot.total)
    rows = taught if is_taught else sum(size.rationales for size in datasets.values())
    sft_steps = params.sft.steps
    if sft_steps is None:
        sft_steps = math.ceil(params.sft.epochs * rows / params.sft.batch_size)
    asked = sum(
        min(size.test, params.questions.images_per_class * (size.seen + size.unseen))
        for size in datasets.values()
    )
    return Counts(
        datasets=datasets,
        image=image,
        prompt=prompt,
        rationale=rationale,
        rollout=_at_most(params.tapo.max_completion_tokens, rationale.mean),
        answer=_at_most(params.predict.max_tokens, rationale.mean),
        sft_rows=rows,
        sft_steps=sft_steps,
        tapo_prompts=seen * params.split.tapo_shots,
        captions=shots * _INSTRUCTIONS * params.concepts.captions_per_instruction,
        rationales_asked=taught if is_taught else 0,
        questions=2 * asked,
    )


def num_taught(seen: int, shots: int, per_class: int | None, total: int | None) -> int:
    """Images of `seen` sub-categories that a teacher is asked about: cot.per_class, cot.total."""
    asked = seen * (shots if per_class is None else min(shots, per_class))
    return asked if total is None else min(asked, total)


def num_seen(taxonomy: str, seen_fraction: float) -> int:
    """Seen sub-categories of a drawn world (finer1/splits.py rounds down in each category)."""
    numbers = Counter(item.category for item in load_taxonomy(taxonomy).species)
    return sum(int(seen_fraction * number) for number in numbers.values())


def tapo_epochs(params: Params, counts: Counts) -> float:
    """Passes over the anchors, groups that dynamic sampling drops not counted."""
    return params.tapo.steps * params.tapo.prompts_per_step / counts.tapo_prompts


def sampled_groups(params: Params) -> int:
    """Groups sampled in all of stage 2, dropped ones included."""
    return math.ceil(params.tapo.steps * params.tapo.prompts_per_step / KEEP_RATE)


def closed_prompt(counts: Counts) -> int:
    """Longest prompt of predict, options included."""
    return counts.prompt.longest + OPTIONS_TOKENS


@cache
def published_sizes() -> Mapping[str, DatasetSize]:
    """Dataset -> size, the six of the paper (finer1/reference/datasets.tsv, classes.tsv)."""
    sizes = {}
    with _FACTS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            seen = sum(released_classes(row["dataset"]).values())
            sizes[row["dataset"]] = DatasetSize(
                seen=seen,
                unseen=int(row["classes"]) - seen,
                train=int(row["train"]),
                test=int(row["test"]),
                bytes=int(row["bytes"]),
                rationales=int(row["rationales"]),
            )
    return sizes


def _size(name: str, params: Params) -> DatasetSize:
    if name in published_sizes():
        return published_sizes()[name]
    if name != "world":
        raise ValueError(
            f"download.datasets: how large {name} is, is not known before it is read; plan with "
            f"the published dataset that is most like it ({', '.join(published_sizes())})"
        )
    world = params.download.world
    species = load_taxonomy(world.taxonomy).species
    seen = num_seen(world.taxonomy, params.split.seen_fraction)
    per_class = world.train_per_class + world.validation_per_class
    images = len(species) * (per_class + world.test_per_class)
    return DatasetSize(
        seen=seen,
        unseen=len(species) - seen,
        train=len(species) * per_class,
        test=len(species) * world.test_per_class,
        bytes=images * 2**13,
        rationales=0,
    )


def _image_tokens(params: Params, base: Path) -> Tokens:
    pixels = params.sft.max_pixels or _processor_pixels(base) or _LARGEST_IMAGE
    longest = max(1, pixels // _PIXELS_PER_TOKEN)
    return Tokens(longest, min(longest, IMAGE_TOKENS))


def _processor_pixels(base: Path) -> int | None:
    """The image processor's largest image, pixels of patches of 14; None without its file."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (base / name).is_file():
            config = json.loads((base / name).read_text(encoding="utf-8"))
            config = config.get("image_processor", config)
            pixels = config.get("max_pixels") or config.get("size", {}).get("longest_edge")
            if pixels:
                return int(pixels * (14 / config.get("patch_size", 14)) ** 2)
    return None


def _rationale_tokens(params: Params) -> Tokens:
    if params.sft.target == "answer":
        return Tokens(32, 16)
    longest = math.ceil(TOKENS_PER_WORD * params.cot.max_words)
    return _at_most(longest, math.ceil(TOKENS_PER_WORD * RATIONALE_WORDS))


def _at_most(longest: int, mean: int) -> Tokens:
    return Tokens(longest, min(longest, mean))
