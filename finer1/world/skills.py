"""The three phases of pre-training: see attributes, reason in text, then both side by side.

The language model reads images only in the joint phase; the vision tower is frozen there, and
its visual tokens are computed once.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen2Tokenizer

from finer1.world import language
from finer1.world.architecture import Model
from finer1.world.batches import batch_loss, collate
from finer1.world.language import Dialogue
from finer1.world.optimisation import Phase, run_phase
from finer1.world.pool import Picture
from finer1.world.recipe import JointPhase, Schedule, TextPhase, VisionPhase
from finer1.world.taxonomy import Taxonomy
from finer1.world.vision import (
    AttributeHeads,
    attribute_loss,
    encode,
    target_row,
    to_patches,
)

_SAVE_STEPS = {"vision": 200, "text": 100, "joint": 60}
_REPORT_STEPS = {"vision": 50, "text": 25, "joint": 20}
REASONING_SHARE = 0.6
"""Share of S2 among text exercises; facts are the rest."""

IMAGE_SHARES = {
    "caption": 8.0,
    "attribute": 2.0,
    "open": 6.0,
    "coarse": 2.0,
    "siblings": 0.5,
    "alt": 0.1,
}
"""Weights of the kinds of image exercise."""


def train_vision(
    model: Model,
    pixels: np.ndarray,
    pictures: list[Picture],
    phase: VisionPhase,
    seed: int,
    checkpoint: Path,
) -> float:
    """Teach the vision tower the attributes, through two heads that are then dropped; seconds."""
    tower = model.model.visual
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = AttributeHeads(model.config.get_text_config().hidden_size)
    targets = torch.tensor([target_row(item.category, item.values) for item in pictures])
    parameters = {f"tower.{name}": value for name, value in tower.named_parameters()}
    parameters |= {f"heads.{name}": value for name, value in heads.named_parameters()}

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 1, step])
        rows = np.sort(rng.integers(len(pictures), size=phase.images))
        logits = heads(encode(tower, to_patches(pixels[rows])))
        return sum(attribute_loss(heads.sizes, part, targets[rows]) for part in logits)

    return run_phase(_named("vision", phase.schedule), parameters, loss_at, checkpoint)


def train_text(
    model: Model,
    tokenizer: Qwen2Tokenizer,
    world: Taxonomy,
    phase: TextPhase,
    seed: int,
    checkpoint: Path,
) -> float:
    """Teach the language model names, attributes and S2, in text alone; seconds."""

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 2, step])
        dialogues = [text_exercise(world, rng) for _ in range(phase.texts)]
        return mean_loss(model, tokenizer, [(dialogues, None)])

    return run_phase(
        _named("text", phase.schedule), language_parameters(model), loss_at, checkpoint
    )


def train_joint(
    model: Model,
    tokenizer: Qwen2Tokenizer,
    features: Tensor,
    pictures: list[Picture],
    world: Taxonomy,
    phase: JointPhase,
    seed: int,
    checkpoint: Path,
) -> float:
    """Teach the language model to read visual tokens, and keep S2 beside them; seconds.

    features: [pool, K, D], the frozen tower's visual tokens.
    """
    named = [row for row, item in enumerate(pictures) if item.species is not None]

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 3, step])
        seen = [image_exercise(world, pictures, named, rng) for _ in range(phase.images)]
        beside = [
            language.reasoning_exercise(world, rng, image=int(rng.integers(len(pictures))))
            for _ in range(phase.unrelated)
        ]
        texts = [text_exercise(world, rng) for _ in range(phase.texts)]
        groups = [(seen, features), (beside, features), (texts, None)]
        return mean_loss(model, tokenizer, groups)

    return run_phase(
        _named("joint", phase.schedule), language_parameters(model), loss_at, checkpoint
    )


def _named(name: str, schedule: Schedule) -> Phase:
    return Phase(
        name,
        schedule.steps,
        schedule.lr,
        schedule.weight_decay,
        save_steps=_SAVE_STEPS[name],
        report_steps=_REPORT_STEPS[name],
    )


def language_parameters(model: Model) -> dict[str, Tensor]:
    """All parameters but the vision tower's, by name."""
    return {name: value for name, value in model.named_parameters() if ".visual." not in f".{name}"}


@torch.no_grad()
def visual_tokens(model: Model, pixels: np.ndarray) -> Tensor:
    """The tower's visual tokens of all images, [images, K, D]."""
    parts = [
        encode(model.model.visual, to_patches(pixels[start : start + 256]))
        for start in range(0, len(pixels), 256)
    ]
    return torch.cat(parts)


def mean_loss(
    model: Model,
    tokenizer: Qwen2Tokenizer,
    groups: list[tuple[list[Dialogue], Tensor | None]],
) -> Tensor:
    """Weighted mean over the scored tokens of all groups; a group shares images or has none."""
    total, weight = torch.zeros(()), 0.0
    for dialogues, features in groups:
        for part in _by_length(dialogues):
            batch = collate(part, tokenizer)
            total = total + batch_loss(model, batch, features)
            weight += float(batch.weights.sum())
    return total / weight


def text_exercise(world: Taxonomy, rng: np.random.Generator) -> Dialogue:
    """One exercise without an image."""
    if rng.random() < REASONING_SHARE:
        return language.reasoning_exercise(world, rng)
    return language.fact_exercise(world, rng)


def image_exercise(
    world: Taxonomy, pictures: list[Picture], named: list[int], rng: np.random.Generator
) -> Dialogue:
    """One exercise about an image; `named` are the rows of `pictures` that show a class."""
    shares = np.array(list(IMAGE_SHARES.values()))
    kind = str(rng.choice(list(IMAGE_SHARES), p=shares / shares.sum()))
    if kind in ("caption", "attribute"):
        row = int(rng.integers(len(pictures)))
        item = pictures[row]
        if kind == "caption":
            return language.image_caption(item.category, item.values, row)
        return language.image_attribute(item.category, item.values, row, rng)
    row = named[int(rng.integers(len(named)))]
    species = pictures[row].species
    assert species is not None
    if kind == "open":
        return language.image_open(world, species, row, rng)
    if kind == "alt":
        return language.image_alt_text(world, species, row, rng)
    choose = language.coarse_options if kind == "coarse" else language.siblings_options
    return language.image_closed(species, choose(world, species, rng), row, rng)


def _by_length(dialogues: list[Dialogue]) -> list[list[Dialogue]]:
    """The shorter and the longer half, which saves padding."""
    ordered = sorted(dialogues, key=lambda item: len(item.user + item.given + item.target))
    half = len(ordered) // 2
    return [part for part in (ordered[:half], ordered[half:]) if part]
