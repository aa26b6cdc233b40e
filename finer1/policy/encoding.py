"""Prompts as tensors: each image is processed once and has its own number of tokens.

Shape letters: Q prompts, P prompt tokens, N patches of an image, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from finer1.chat import chat_messages


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt with one image, without padding."""

    token_ids: torch.Tensor
    """[P]"""
    positions: torch.Tensor
    """[3, P], time, height and width of each token for the rotary embedding."""
    pixel_values: torch.Tensor
    """[N, pixels of a patch]"""
    grid: torch.Tensor
    """[3], patches of the image in time, height and width."""
    features: torch.Tensor | None
    """[image tokens, D], no gradient; None when the vision tower is trained."""


@dataclass(frozen=True)
class PromptBatch:
    """Prompts padded on the left."""

    token_ids: torch.Tensor
    """[Q, P]"""
    mask: torch.Tensor
    """[Q, P], true on tokens."""
    positions: torch.Tensor
    """[3, Q, P]"""
    images: tuple[EncodedPrompt, ...]

    @property
    def next_positions(self) -> torch.Tensor:
        """[Q], position of the first token after each prompt."""
        return self.positions.amax(dim=(0, 2)) + 1


def encode_prompts(
    model: Any,
    processor: Any,
    questions: Sequence[str],
    images: Sequence[Image.Image],
    system: str,
) -> list[EncodedPrompt]:
    """Encode one question about each image.

    Image features are computed here, once, unless the vision tower is trained. mm_token_type_ids
    enter the positions: without them transformers 5 falls back to plain ones, silently.
    """
    texts = [
        processor.apply_chat_template(
            chat_messages(text, 1, system), add_generation_prompt=True, tokenize=False
        )
        for text in questions
    ]
    batch = processor(
        text=texts,
        images=[[image] for image in images],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    ).to(model.device)
    grids, masks = batch["image_grid_thw"], batch["attention_mask"].bool()
    positions, _ = model.model.get_rope_index(
        batch["input_ids"],
        mm_token_type_ids=batch["mm_token_type_ids"],
        image_grid_thw=grids,
        attention_mask=batch["attention_mask"],
    )
    pixels = batch["pixel_values"].split(grids.prod(dim=-1).tolist())
    features: Sequence[torch.Tensor | None] = [None] * len(texts)
    if not is_vision_trained(model):
        with torch.no_grad():
            features = image_features(model, pixels, grids)
    return [
        EncodedPrompt(
            token_ids=batch["input_ids"][i, masks[i]],
            positions=positions[:, i, masks[i]],
            pixel_values=pixels[i],
            grid=grids[i],
            features=features[i],
        )
        for i in range(len(texts))
    ]


def is_vision_trained(model: Any) -> bool:
    """True when the vision tower takes gradients."""
    return any(parameter.requires_grad for parameter in model.model.visual.parameters())


def image_features(
    model: Any, pixels: Sequence[torch.Tensor], grids: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """[image tokens, D] of each image, as the language model reads them (after the merger)."""
    output = model.get_image_features(torch.cat(list(pixels)), grids)
    return tuple(output.pooler_output)


def stack_prompts(prompts: Sequence[EncodedPrompt], pad_id: int) -> PromptBatch:
    """The prompts as one batch."""
    width = max(len(prompt.token_ids) for prompt in prompts)
    device = prompts[0].token_ids.device
    shape = (len(prompts), width)
    token_ids = torch.full(shape, pad_id, device=device)
    mask = torch.zeros(shape, dtype=torch.bool, device=device)
    positions = torch.zeros((3, *shape), dtype=torch.long, device=device)
    for row, prompt in enumerate(prompts):
        start = width - len(prompt.token_ids)
        token_ids[row, start:] = prompt.token_ids
        mask[row, start:] = True
        positions[:, row, start:] = prompt.positions
    return PromptBatch(token_ids, mask, positions, tuple(prompts))


def embed_prompts(model: Any, batch: PromptBatch) -> torch.Tensor:
    """[Q, P, D] token embeddings with the image features in their places."""
    embeddings = model.get_input_embeddings()(batch.token_ids)
    features = [prompt.features for prompt in batch.images if prompt.features is not None]
    if not features:
        pixels = [prompt.pixel_values for prompt in batch.images]
        grids = torch.stack([prompt.grid for prompt in batch.images])
        features = list(image_features(model, pixels, grids))
    places = (batch.token_ids == model.config.image_token_id).unsqueeze(-1)
    return embeddings.masked_scatter(places, torch.cat(features).to(embeddings.dtype))
