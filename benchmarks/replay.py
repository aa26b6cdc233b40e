"""The group that every side trains on: the same tokens, images, advantages, old log-probs.

Shape letters: P prompt tokens, R rollouts, T completion tokens.
"""

from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.shapes import (
    FIRST_TEXT_TOKEN,
    IMAGE_TOKEN,
    VISION_END,
    VISION_START,
    GroupShape,
)
from finer1.policy.encoding import Conditions, EncodedPrompt, stack_prompts


@dataclass(frozen=True)
class Replay:
    """What is scored and trained on."""

    branches: tuple[Conditions, ...]
    """The anchor's; then the negative's, if a term of the loss needs it."""
    completion_ids: torch.Tensor
    """[R, T], padded on the right."""
    completion_mask: torch.Tensor
    """[R, T]"""
    advantages: torch.Tensor
    """[R]"""
    old_noise: torch.Tensor
    """[R, T], added to the start model's log-probabilities to give those of the behavior policy:
    ratios are not all 1."""

    @property
    def num_tokens(self) -> int:
        """Completion tokens."""
        return int(self.completion_mask.sum())

    def part(self, rows: slice) -> "Replay":
        """Some of the rollouts, padded as before."""
        return Replay(
            branches=tuple(Conditions(b.prompts, b.owners[rows]) for b in self.branches),
            completion_ids=self.completion_ids[rows],
            completion_mask=self.completion_mask[rows],
            advantages=self.advantages[rows],
            old_noise=self.old_noise[rows],
        )


def draw_group(model: Any, group: GroupShape, seed: int) -> Replay:
    """Random text, noise for images, ragged completions of random text."""
    generator = torch.Generator().manual_seed(seed)
    anchor = _prompt(model, group.text_tokens, group.anchor, generator)
    negative = _prompt(model, group.text_tokens, group.negative, generator)
    lengths = ragged_lengths(group.rollouts, group.completion_tokens, generator)
    width = int(lengths.max())
    shape = (group.rollouts, width)
    vocabulary = model.config.text_config.vocab_size
    ids = torch.randint(FIRST_TEXT_TOKEN, vocabulary, shape, generator=generator)
    mask = torch.arange(width) < lengths.unsqueeze(-1)
    return Replay(
        branches=(share(anchor, group.rollouts), share(negative, group.rollouts)),
        completion_ids=ids.masked_fill(~mask, 0).to(model.device),
        completion_mask=mask.to(model.device),
        advantages=torch.randn(group.rollouts, generator=generator).to(model.device),
        old_noise=draw_noise(shape, generator).to(model.device),
    )


def draw_noise(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """For `old_noise`: so large that a quarter of the ratios lie outside of the clip."""
    return 0.2 * torch.randn(shape, generator=generator)


def ragged_lengths(count: int, mean: int, generator: torch.Generator) -> torch.Tensor:
    """[count] lengths within 10 % of `mean`, which they have as their mean where count > 1.

    They come as pairs around the mean, in random order.
    """
    reach = mean // 10
    steps = torch.randint(1, reach + 1, (count // 2,), generator=generator) if reach else None
    half = torch.zeros(count // 2, dtype=torch.long) if steps is None else steps
    lengths = mean + torch.cat([half, -half, half.new_zeros(count % 2)])
    return lengths[torch.randperm(count, generator=generator)]


def share(prompt: EncodedPrompt, rollouts: int) -> Conditions:
    """All rollouts continue this prompt."""
    owners = torch.zeros(rollouts, dtype=torch.long, device=prompt.token_ids.device)
    return Conditions(stack_prompts([prompt], pad_id=0), owners)


def _prompt(
    model: Any, text_tokens: int, image: tuple[int, int], generator: torch.Generator
) -> EncodedPrompt:
    """Some text, the image between its marks, more text."""
    vocabulary = model.config.text_config.vocab_size
    vision = model.config.vision_config
    text = torch.randint(FIRST_TEXT_TOKEN, vocabulary, (text_tokens - 2,), generator=generator)
    before, after = text.tensor_split([text_tokens // 4])
    visual = torch.full((image[0] * image[1] // 4,), IMAGE_TOKEN)
    marks = (torch.tensor([VISION_START]), torch.tensor([VISION_END]))
    ids = torch.cat([before, marks[0], visual, marks[1], after])
    grid = torch.tensor([1, *image])
    positions, _ = model.model.get_rope_index(
        ids[None], mm_token_type_ids=(ids == IMAGE_TOKEN).int()[None], image_grid_thw=grid[None]
    )
    pixels = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    return EncodedPrompt(
        token_ids=ids.to(model.device),
        positions=positions[:, 0].to(model.device),
        pixel_values=torch.randn(image[0] * image[1], pixels, generator=generator).to(
            model.device, model.dtype
        ),
        grid=grid.to(model.device),
        features=None,
    )
