"""A rollout step of the embedded TAPO stage: its real model, prompts, images and rollouts."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.objective import (
    CLIP_HIGH,
    CLIP_LOW,
    ENTROPY,
    INTER_CLASS,
    KL_CLAMP,
    LOG_RATIO_CLAMP,
    NEGATIVE_ENTROPY,
)
from benchmarks.replay import Replay, draw_noise
from finer1.images import ImageArchive
from finer1.params import Params, load_params
from finer1.policy.encoding import Conditions
from finer1.policy.folder import load_policy
from finer1.policy.processes import ALONE
from finer1.prompts import SYSTEM_PROMPTS
from finer1.records import SplitRecord, Triplet, read_jsonl
from finer1.splits import labels_by_category
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.shares import share_out
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler
from finer1.tapo.updates import lay_out

_MEASURED: dict[str, dict[str, object]] = {
    "tapo": {
        "temperature": 1.0,
        "clip_low": CLIP_LOW,
        "clip_high": CLIP_HIGH,
        "clip_dual": None,
        "inter_class_coef": INTER_CLASS,
        "kl_ratio": "neg_over_pos",
        "log_ratio_clamp": LOG_RATIO_CLAMP,
        "kl_clamp": KL_CLAMP,
        "entropy_coef": ENTROPY,
        "negative_entropy_coef": NEGATIVE_ENTROPY,
        "negative_gradient": True,
        "lora_rank": 0,
    },
    "runtime": {"engine": "transformers", "forward": "packed", "gradient_checkpointing": False},
}
"""Settings that `update_loss` and the sides have built in."""


@dataclass(frozen=True)
class Embedded:
    """The stage's parts, set up as `tasks.tapo` does, on the CPU."""

    params: Params
    model: Any
    processor: Any
    sampler: RolloutSampler

    def lay_out(self, groups: list[RolloutGroup]) -> list[list[Replay]]:
        """The micro-batches of each update of a step."""
        settings = self.params.tapo
        shares = share_out(groups, settings, self.params.runtime.micro_batch, ALONE)
        return [[self._replay(part) for part in share.parts] for share in shares]

    def _replay(self, groups: list[RolloutGroup]) -> Replay:
        batch = lay_out(
            self.model,
            self.processor,
            groups,
            self.params.tapo,
            self.sampler.system,
            has_negatives=True,
        )
        assert batch.negatives is not None
        generator = torch.Generator().manual_seed(self.params.seed)
        return Replay(
            branches=(_without_features(batch.conditions), _without_features(batch.negatives)),
            completion_ids=batch.completion_ids,
            completion_mask=batch.completion_mask,
            advantages=batch.advantages,
            old_noise=draw_noise(tuple(batch.completion_ids.shape), generator),
        )


def missing_inputs(root: Path) -> list[Path]:
    """What an earlier stage has not written yet."""
    paths = load_params(root / "params.yaml").paths
    needed = (paths.sft, paths.splits, paths.triplets, paths.images)
    return [path for path in needed if not (root / path).exists()]


def read_stage(root: Path) -> Embedded:
    """The stage as its inputs under `root` give it; model of stage 1.

    Raises ValueError when the settings are those of another update than the one measured.
    """
    params = load_params(root / "params.yaml")
    _check(params)
    paths = params.paths
    model, processor = load_policy(root / paths.sft, "cpu", params.tapo.train_vision)
    splits = read_jsonl(root / paths.splits, SplitRecord)
    archive = ImageArchive(root / paths.images)
    stream = PromptStream(
        triplets=read_jsonl(root / paths.triplets, Triplet),
        read_image=archive.read,
        labels=labels_by_category(splits),
        settings=params.tapo,
        patch=processor.image_processor.patch_size,
        seed=params.seed,
    )
    batch_size = params.runtime.batch_size
    engine = LocalEngine(model, processor.tokenizer.pad_token_id, batch_size)
    system = SYSTEM_PROMPTS[params.prompt.system]
    sampler = build_sampler(model, processor, stream, system, batch_size, engine)
    return Embedded(params, model, processor, sampler)


def _check(params: Params) -> None:
    for section, measured in _MEASURED.items():
        settings = getattr(params, section)
        for name, value in measured.items():
            if getattr(settings, name) != value:
                raise ValueError(
                    f"{section}.{name} is {getattr(settings, name)}; benchmarks.stage measures "
                    f"the update with {value}"
                )


def _without_features(conditions: Conditions) -> Conditions:
    """So that our side, too, runs the vision tower in its update, and not while it samples."""
    prompts = conditions.prompts
    images = tuple(replace(prompt, features=None) for prompt in prompts.images)
    return Conditions(replace(prompts, images=images), conditions.owners)
