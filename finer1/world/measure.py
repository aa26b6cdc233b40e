"""What a base can do: both skills, and its answers to open and closed questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from finer1 import prompts
from finer1.world import language
from finer1.world.architecture import Model, Processor
from finer1.world.drawing import draw
from finer1.world.taxonomy import Species, Taxonomy

_FIRST_SEED = 1 << 50
"""Above the seeds of pre-training and of every data set of the world."""
_BATCH = 96
_MAX_TOKENS = 110
"""A rationale has about 67."""


@dataclass(frozen=True)
class Figure:
    """A share, with the number of cases it is taken over."""

    share: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} % (n = {self.n})"


def complete(
    model: Model,
    processor: Processor,
    users: Sequence[str],
    images: Sequence[Image.Image] | None,
) -> list[str]:
    """Greedy completions, one per user text; with an image before each, or none at all."""
    texts = []
    for start in range(0, len(users), _BATCH):
        chosen = users[start : start + _BATCH]
        content = [{"type": "image"}] if images is not None else []
        turns = [
            [{"role": "user", "content": [*content, {"type": "text", "text": user}]}]
            for user in chosen
        ]
        batch = processor(
            text=[
                processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
                for turn in turns
            ],
            images=list(images[start : start + _BATCH]) if images is not None else None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        with torch.inference_mode():
            tokens = model.generate(**batch, max_new_tokens=_MAX_TOKENS, do_sample=False)
        new = tokens[:, batch["input_ids"].shape[1] :]
        texts += processor.batch_decode(new, skip_special_tokens=True)
    return texts


def test_images(
    world: Taxonomy, nuisance: float, per_class: int, block: int
) -> list[tuple[Species, Image.Image]]:
    """Fresh renders of every class; blocks of equal number show the same images."""
    first = _FIRST_SEED + (block << 20)
    return [
        (species, draw(species.category, species.values, first + place * per_class + k, nuisance))
        for place, species in enumerate(world.species)
        for k in range(per_class)
    ]


def measure_perception(
    model: Model,
    processor: Processor,
    shown: list[tuple[Species, Image.Image]],
) -> dict[str, Figure]:
    """S1: captions with all five attributes right, and the share of attributes right."""
    users = [language.caption_instruction(species.category) for species, _ in shown]
    texts = complete(model, processor, users, [image for _, image in shown])
    right = []
    for (species, _), text in zip(shown, texts, strict=True):
        said = (*text.split(), *[""] * 5)[:5]
        right.append([a == b for a, b in zip(said, species.values, strict=True)])
    return {
        "all five attributes": Figure(float(np.mean(np.all(right, axis=1))), len(right)),
        "each attribute": Figure(float(np.mean(right)), 5 * len(right)),
    }


def measure_reasoning(model: Model, processor: Processor, world: Taxonomy) -> dict[str, Figure]:
    """S2: the right answer from described attributes, all true or one wrong but correctable."""
    rng = np.random.default_rng(0)
    cases: dict[str, list[tuple[Species, Sequence[str]]]] = {
        "true attributes": [(item, item.values) for item in world.species],
        "one wrong attribute": [
            (item, wrong[rng.integers(len(wrong))])
            for item in world.species
            if (wrong := world.correctable_errors[item.name])
        ],
    }
    figures = {}
    for name, pairs in cases.items():
        if not pairs:
            continue
        users = [language.reasoning_instruction(item.category, seen) for item, seen in pairs]
        texts = complete(model, processor, users, None)
        parsed = [prompts.parse_completion(text) for text in texts]
        right = [
            item.is_sectioned and item.answer == species.name
            for item, (species, _) in zip(parsed, pairs, strict=True)
        ]
        figures[name] = Figure(float(np.mean(right)), len(right))
    return figures


def measure_answers(
    model: Model,
    processor: Processor,
    world: Taxonomy,
    shown: list[tuple[Species, Image.Image]],
) -> dict[str, Figure]:
    """Open and closed questions: exact answers, coarse ones, rationales where none should be."""
    rng = np.random.default_rng(1)
    images = [image for _, image in shown]
    asked = [
        prompts.question(species.category, int(rng.integers(len(prompts.QUESTIONS))))
        for species, _ in shown
    ]
    texts = complete(model, processor, asked, images)
    figures = {
        "open, exact name": _share_right(texts, [species.name for species, _ in shown]),
        "open, genus": _share_right(texts, [language.genus_text(s.genus) for s, _ in shown]),
        "open, with a rationale": Figure(
            float(np.mean(["<think>" in text for text in texts])), len(texts)
        ),
    }
    for kind, choose in (
        ("siblings", language.siblings_options),
        ("one of each genus", language.coarse_options),
    ):
        users = [
            prompts.closed_question(text, [item.name for item in choose(world, species, rng)])
            for text, (species, _) in zip(asked, shown, strict=True)
        ]
        texts = complete(model, processor, users, images)
        name = f"closed, options {kind}"
        figures[name] = _share_right(texts, [species.name for species, _ in shown])
    return figures


def _share_right(texts: list[str], answers: list[str]) -> Figure:
    right = [
        prompts.parse_completion(text).answer == answer
        for text, answer in zip(texts, answers, strict=True)
    ]
    return Figure(float(np.mean(right)), len(right))
