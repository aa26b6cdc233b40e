"""Embeddings by the base model's own vision tower: what the policy itself sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from finer1.encoders.interface import ImageEncoder, hash_weights, in_batches
from finer1.policy.encoding import image_features
from finer1.policy.folder import load_policy

_RECIPE = "mean of the merged image tokens 1"
"""Enters the identity; a change of what is computed takes a new number."""


def load_base_encoder(base: Path, device: str) -> ImageEncoder:
    """The mean image token, after the merger, of the model folder `base`."""
    model, processor = load_policy(base, device, train_vision=False)
    visual = model.model.visual

    @torch.no_grad()
    def encode(images: Sequence[Image.Image]) -> torch.Tensor:
        return torch.cat([_encode(model, processor, images[part]) for part in in_batches(images)])

    settings = visual.config.to_diff_dict()
    settings.pop("transformers_version", None)
    facts = [_RECIPE, settings, processor.image_processor.to_dict()]
    return ImageEncoder("base_model", hash_weights(visual.state_dict(), facts), encode)


def _encode(model: Any, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
    batch = processor.image_processor(images=list(images), return_tensors="pt").to(model.device)
    tokens = image_features(model, [batch["pixel_values"]], batch["image_grid_thw"])
    return torch.stack([each.mean(dim=0) for each in tokens]).float().cpu()
