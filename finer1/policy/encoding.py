"""Prompts and completions as tensors: each image is processed once, with its number of tokens.

Shape letters: Q prompts, P prompt tokens, R rollouts, T completion tokens, N patches of an image,
D embedding.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.tensor import DTensor

from finer1.chat import render_prompt
from finer1.policy.families.interface import family_of, vision_parts
from finer1.policy.unwrapping import unwrap

if TYPE_CHECKING:  # images are handed on: who has tensors of them needs no Pillow
    from PIL import Image


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt with one image, without padding."""

    token_ids: torch.Tensor
    """[P]"""
    positions: torch.Tensor
    """[3, P], time, height and width of each token for the rotary embedding."""
    pixel_values: torch.Tensor
    """[N, pixels of a patch], on the CPU until the vision tower runs: a step has gigabytes. Other
    families than Qwen's have pieces in place of patches."""
    grid: torch.Tensor
    """[3], patches of the image in time, height and width; of other families what their file in
    families/ gives beside the pixels."""
    features: torch.Tensor | None
    """[image tokens, D], no gradient; None when the vision tower is trained, or they alone do not
    do (Family.is_deep)."""


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


@dataclass(frozen=True)
class Conditions:
    """The prompts that completions are scored under."""

    prompts: PromptBatch
    owners: torch.Tensor
    """[R], the prompt of each rollout."""


def encode_prompts(
    model: Any,
    processor: Any,
    questions: Sequence[str],
    images: "Sequence[Image.Image]",
    system: str,
    known: dict[bytes, EncodedPrompt] | None = None,
) -> list[EncodedPrompt]:
    """Encode one question about each image; equal images are processed once and share tensors.

    model: may be wrapped. known: by `image_key`, prompts whose images are processed already; gets
    the new ones. Image features are computed here, once, unless EncodedPrompt says why not.
    """
    model, known = unwrap(model), {} if known is None else known
    keys = [image_key(image) for image in images]
    new = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
    processed: dict[bytes, _ImageParts] = {}
    if new:
        processed = dict(zip(new, _process_images(model, processor, [*new.values()]), strict=True))
    prompts = []
    for key, text in zip(keys, questions, strict=True):
        seen = known.get(key)
        parts = processed[key] if seen is None else _image_of(seen)
        token_ids, positions = _tokenize(model, processor, text, system, parts)
        prompts.append(EncodedPrompt(token_ids, positions, *parts))
        known.setdefault(key, prompts[-1])
    return prompts


def image_key(image: "Image.Image") -> bytes:
    """A digest of the image's content."""
    size = repr((image.mode, image.size)).encode()
    return hashlib.blake2b(size + image.tobytes(), digest_size=16).digest()


_ImageParts = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
"""Pixel values, grid and features, as EncodedPrompt has them."""


def _image_of(prompt: EncodedPrompt) -> _ImageParts:
    return prompt.pixel_values, prompt.grid, prompt.features


def _process_images(
    model: Any, processor: Any, images: "Sequence[Image.Image]"
) -> list[_ImageParts]:
    family = family_of(model)
    pixels, shapes = zip(*family.process(processor, images), strict=True)
    grids = torch.stack(shapes)
    features: Sequence[torch.Tensor | None] = [None] * len(images)
    if not (family.is_deep or is_vision_trained(model) or is_sharded(model)):
        with torch.no_grad():
            features = image_features(model, pixels, grids.to(model.device))
    return list(zip(pixels, grids.to(model.device), features, strict=True))


def _tokenize(
    model: Any, processor: Any, question: str, system: str, image: _ImageParts
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [P] and positions [3, P] of a prompt, each image token standing for one feature."""
    text = render_prompt(processor, question, 1, system)
    pixels, grid = image[0], image[1].cpu()
    expanded = family_of(model).expand(processor, pixels, grid)
    text = text.replace(processor.image_token, expanded, 1)
    token_ids = torch.tensor(processor.tokenizer(text)["input_ids"])
    positions = _positions(model, token_ids, grid)
    return token_ids.to(model.device), positions.to(model.device)


def _positions(model: Any, token_ids: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """[3, P]; three times the same for a family with positions on a line.

    mm_token_type_ids enter the axes: without them transformers 5 falls back to plain ones,
    silently.
    """
    if not family_of(model).has_axes:
        return torch.arange(len(token_ids)).expand(3, -1)
    positions, _ = model.model.get_rope_index(
        token_ids.unsqueeze(0),
        mm_token_type_ids=(token_ids == model.config.image_token_id).int().unsqueeze(0),
        image_grid_thw=grid.unsqueeze(0),
    )
    return positions.squeeze(1)


def is_vision_trained(model: Any) -> bool:
    """True when the vision tower takes gradients."""
    return any(parameter.requires_grad for parameter in vision_parts(model))


def is_sharded(model: Any) -> bool:
    """True when the vision tower's weights are whole only inside the model's own call (FSDP2)."""
    return any(isinstance(parameter, DTensor) for parameter in vision_parts(model))


def image_features(
    model: Any, pixels: Sequence[torch.Tensor], grids: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """[image tokens, D] of each image, as the language model reads them (after the merger).

    pixels: anywhere. grids: on the model's device.
    """
    family = family_of(model)
    inputs = family.call([part.to(grids.device) for part in pixels], grids)
    return tuple(family.split(model.get_image_features(**inputs).pooler_output, pixels))


def prompt_features(model: Any, prompts: Sequence[EncodedPrompt]) -> list[torch.Tensor]:
    """[image tokens, D] of each prompt's image, computed where the prompt does not have them.

    model: the transformers model or its backbone.
    """
    new = [prompt for prompt in prompts if prompt.features is None]
    if not new:
        return [prompt.features for prompt in prompts if prompt.features is not None]
    grids = torch.stack([prompt.grid for prompt in new])
    computed = iter(image_features(model, [prompt.pixel_values for prompt in new], grids))
    return [next(computed) if p.features is None else p.features for p in prompts]


def distinct_images(prompts: Sequence[EncodedPrompt]) -> tuple[list[EncodedPrompt], list[int]]:
    """A prompt for each distinct image, and for each prompt the place of its image among those."""
    places: dict[int, int] = {}
    kept: list[EncodedPrompt] = []
    order = []
    for prompt in prompts:
        key = id(prompt.pixel_values)
        if key not in places:
            places[key] = len(kept)
            kept.append(prompt)
        order.append(places[key])
    return kept, order


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


def condition_on(prompts: Sequence[tuple[EncodedPrompt, int]], pad_id: int) -> Conditions:
    """Each prompt for as many rollouts, one after the other."""
    batch = stack_prompts([prompt for prompt, _ in prompts], pad_id)
    owners = [i for i, (_, count) in enumerate(prompts) for _ in range(count)]
    return Conditions(batch, torch.tensor(owners, device=batch.token_ids.device))


def stack_completions(
    completions: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [R, T], padded on the right, and the mask [R, T] that is true on tokens."""
    rows = [torch.tensor(tokens) for tokens in completions]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(ids.shape[1]) < lengths.unsqueeze(-1)
    return ids.to(device), mask.to(device)


def embed_prompts(model: Any, batch: PromptBatch) -> torch.Tensor:
    """[Q, P, D] token embeddings with the image features in their places."""
    embeddings = model.get_input_embeddings()(batch.token_ids)
    kept, order = distinct_images(batch.images)
    features = prompt_features(model, kept)
    places = (batch.token_ids == model.config.image_token_id).unsqueeze(-1)
    tokens = torch.cat([features[i] for i in order])
    return embeddings.masked_scatter(places, tokens.to(embeddings.dtype))
