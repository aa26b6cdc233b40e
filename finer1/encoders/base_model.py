"""Embeddings by the base model's own vision tower: what the policy itself sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from finer1.encoders.interface import ImageEncoder, hash_weights, in_batches
from finer1.policy.encoding import image_features
from finer1.policy.families.interface import family_of
from finer1.policy.folder import load_policy

_RECIPE = "mean of the merged image tokens 1"
"""Enters the identity; a change of what is computed takes a new number."""


def load_base_encoder(base: Path, device: str) -> ImageEncoder:
    """The mean image token, after the merger, of the model folder `base`."""
    model, processor = load_policy(base, device, train_vision=False)
    family, weights = family_of(model), model.model.state_dict()
    seeing = {name: value for name, value in weights.items() if name.split(".")[0] in family.vision}

    @torch.no_grad()
    def encode(images: Sequence[Image.Image]) -> torch.Tensor:
        return torch.cat([_encode(model, processor, images[part]) for part in in_batches(images)])

    settings = model.config.vision_config.to_diff_dict()
    settings.pop("transformers_version", None)
    facts = [_RECIPE, settings, processor.image_processor.to_dict()]
    return ImageEncoder("base_model", hash_weights(seeing, facts), encode)


def _encode(model: Any, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
    pixels, grids = zip(*family_of(model).process(processor, images), strict=True)
    tokens = image_features(model, pixels, torch.stack(grids).to(model.device))
    return torch.stack([each.mean(dim=0) for each in tokens]).float().cpu()
