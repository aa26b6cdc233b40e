"""Image embeddings by name, for the mining of triplets."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

BATCH_SIZE = 32
"""Images embedded at once."""

ImageEncoder = Callable[[Sequence[Image.Image]], torch.Tensor]
"""RGB images -> embeddings [N, D], float32, on the CPU."""


def load_encoder(name: str, base: Path, device: str) -> ImageEncoder:
    """The encoder of that name, running on `device`: cpu, cuda or auto.

    `base_model`: mean image tokens, after the merger, of the vision tower of the model folder
    `base`. `open_clip:<model>[/<tag or checkpoint>]`: image tower of an open_clip model; without
    a tag `openai`, an absolute path follows a double slash. Raises ValueError for other names.
    """
    if name == "base_model":
        return _base_encoder(base, device)
    kind, _, rest = name.partition(":")
    model, _, weights = rest.partition("/")
    if kind != "open_clip" or not model:
        raise ValueError(
            f"triplets.encoder: {name!r} is unknown; use base_model or "
            "open_clip:<model>[/<tag or checkpoint>]"
        )
    return _clip_encoder(model, weights or "openai", device)


def _base_encoder(base: Path, device: str) -> ImageEncoder:
    from finer1.policy.encoding import image_features
    from finer1.policy.folder import load_policy

    model, processor = load_policy(base, device, train_vision=False)

    def embed(images: Sequence[Image.Image]) -> torch.Tensor:
        batch = processor.image_processor(images=list(images), return_tensors="pt").to(model.device)
        grids = batch["image_grid_thw"]
        return torch.stack(
            [tokens.mean(dim=0) for tokens in image_features(model, [batch["pixel_values"]], grids)]
        )

    return _in_batches(embed)


def _clip_encoder(name: str, weights: str, device: str) -> ImageEncoder:
    import open_clip

    from finer1.policy.folder import pick_device

    if name not in open_clip.list_models():
        raise ValueError(f"triplets.encoder: open_clip has no model {name!r}")
    if weights not in open_clip.list_pretrained_tags_by_model(name) and not Path(weights).is_file():
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise ValueError(
            f"triplets.encoder: {weights!r} is neither a file nor a tag of {name}; tags: {known}"
        )
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained=weights)
    place = pick_device(device)
    model.eval().to(place)

    def embed(images: Sequence[Image.Image]) -> torch.Tensor:
        pixels = torch.stack([transform(image) for image in images])
        return model.encode_image(pixels.to(place)).float()

    return _in_batches(embed)


def _in_batches(embed: ImageEncoder) -> ImageEncoder:
    @torch.no_grad()
    def encode(images: Sequence[Image.Image]) -> torch.Tensor:
        starts = range(0, len(images), BATCH_SIZE)
        return torch.cat([embed(images[start : start + BATCH_SIZE]).cpu() for start in starts])

    return encode
