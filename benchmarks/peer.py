"""TRL's own path: what a GRPOTrainer subclass with a naive contrastive term would run.

It is TRL's code that runs: `GRPOTrainer._get_per_token_logps_and_entropies` on rows as
`_generate_and_score_completions` prepares them (prompts padded on the left, completions on the
right, each row with its own copy of the image), once per image: the contrastive term is a second
call.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from trl import GRPOTrainer
from trl.trainer import utils as trl_utils

from benchmarks.replay import Replay
from finer1.policy.encoding import Conditions

# What the method reads of its trainer: no autocast, and nobody is told of the time it takes.
_TRAINER: Any = SimpleNamespace(
    accelerator=SimpleNamespace(autocast=nullcontext, is_main_process=False),
    args=SimpleNamespace(report_to=[]),
    state=SimpleNamespace(global_step=0),
)


@dataclass(frozen=True)
class PeerRows:
    """One branch as TRL holds it between generation and update."""

    inputs: dict[str, Any]
    """Arguments of `_get_per_token_logps_and_entropies`."""
    owners: list[int]
    """The prompt of each row."""


def peer_rows(replay: Replay, image_token: int) -> list[PeerRows]:
    """The rows of each branch. TRL builds them once, after generation; no side is timed for it."""
    return [_rows(branch, replay, image_token) for branch in replay.branches]


def _rows(branch: Conditions, replay: Replay, image_token: int) -> PeerRows:
    owners = branch.owners.tolist()
    images = [branch.prompts.images[owner] for owner in owners]
    prompt_ids = branch.prompts.token_ids[branch.owners]
    prompt_mask = branch.prompts.mask[branch.owners]
    is_image = torch.cat(
        [prompt_ids == image_token, torch.zeros_like(replay.completion_mask)], dim=1
    )
    inputs = {
        "input_ids": torch.cat([prompt_ids, replay.completion_ids], dim=1),
        "attention_mask": torch.cat([prompt_mask, replay.completion_mask], dim=1).long(),
        "logits_to_keep": replay.completion_ids.shape[1],
        "pixel_values": torch.cat([image.pixel_values for image in images]),
        "image_grid_thw": torch.stack([image.grid for image in images]),
        "num_images": [1] * len(owners),
        "mm_token_type_ids": is_image.int(),
    }
    return PeerRows(inputs, owners)


def score_rows(model: Any, rows: Sequence[PeerRows]) -> list[torch.Tensor]:
    """Log-probabilities [R, T] of each branch, one call of TRL's method after the other."""
    score = GRPOTrainer._get_per_token_logps_and_entropies
    return [score(_TRAINER, model, **branch.inputs)[0] for branch in rows]


def score_rows_tower_once(model: Any, rows: Sequence[PeerRows]) -> list[torch.Tensor]:
    """The same, except that the vision tower encodes each prompt's image once per call."""
    logprobs = []
    for branch in rows:
        with _tower_once(model.model, branch.owners):
            logprobs += score_rows(model, [branch])
    return logprobs


@contextmanager
def fused_head(model: Any, temperature: float = 1.0) -> Iterator[None]:
    """The head that GRPOTrainer adds, on labelled positions only and without the entropy.

    On a CPU TRL scores every position; here it does as it does on a GPU. Its entropy is a metric
    that our side does not compute. Otherwise the comparison would be won in the head.
    """
    use_triton, own_forward = trl_utils._use_triton, vars(model).get("forward")
    trl_utils.add_fused_lm_head(model, temperature=temperature, outputs=("log_probs",))
    trl_utils._use_triton = lambda device: True
    try:
        yield
    finally:
        trl_utils._use_triton = use_triton
        del model.forward
        if own_forward is not None:
            model.forward = own_forward


@contextmanager
def _tower_once(model: Any, owners: Sequence[int]) -> Iterator[None]:
    """Let the tower see the first row's image of each prompt, and give all rows its features."""
    encode = model.get_image_features
    firsts = [owners.index(owner) for owner in sorted(set(owners))]

    def encode_once(pixels: torch.Tensor, grids: torch.Tensor, **kwargs: Any) -> Any:
        images = pixels.split(grids.prod(-1).tolist())
        output = encode(torch.cat([images[row] for row in firsts]), grids[firsts], **kwargs)
        place = {owners[row]: i for i, row in enumerate(firsts)}
        output.pooler_output = tuple(output.pooler_output[place[owner]] for owner in owners)
        return output

    model.get_image_features = encode_once
    try:
        yield
    finally:
        del model.get_image_features
