"""Guards of the rollouts: errors that would train on nonsense silently end the run instead.

Each sentence says what to change. Cost in the first step of a process, for one group, no
gradient: three passes through the model (its rollouts, and once more under the anchor and under
that inverted). Where the vision tower is trained, also two passes, one generation, which takes as
long as its longest completion, and two handovers of all weights to the engine. In the second step
one pass, afterwards nothing but a look at the tokens. What never reaches the weights because it is
not finite: finer1/policy/guard.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import ImageOps
from torch.distributed.fsdp import FSDPModule

from finer1.policy.encoding import (
    EncodedPrompt,
    condition_on,
    encode_prompts,
    is_vision_trained,
    stack_completions,
)
from finer1.policy.families.interface import family_of
from finer1.policy.forward import Forward, score_completions
from finer1.policy.unwrapping import unwrap
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler

LOGPROB_GAP = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
"""Largest mean difference of sampler and trainer, nats per token, by number format. On the world's
base model rounding gives 1e-7 and (weights in bfloat16) 0.002; doubled image tokens or 1-D
positions 0.02 to 0.1, another image 0.01 to 0.1, no pixels 0.5 to 1.4. The short formats leave
room for deeper models, where small errors may pass: an engine also compares prompt tokens."""
IMAGE_EFFECT = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-3}
"""Least change, nats, of the token that the inverted image changes most; 3 to 5 on the world's
base model. Without pixels it is 0, since both passes are otherwise the same."""
CHECKED_STEPS = 2
"""Steps of a process in which log-probabilities are compared: before and after an update."""


class SamplerGuard:
    """Compares what the sampler saw with what the trainer sees."""

    def __init__(
        self, sampler: RolloutSampler, forward: Forward, number_format: str, is_on: bool
    ) -> None:
        """number_format: the one in which the trainer computes; the engine names its own. is_on:
        false leaves only the check for image tokens in completions."""
        self._sampler = sampler
        self._forward = forward
        formats = (number_format, sampler.engine.number_format)
        self._format = max(formats, key=lambda name: LOGPROB_GAP[name])
        self._steps = 0 if is_on else CHECKED_STEPS

    def check(self, model: Any, groups: Sequence[RolloutGroup]) -> dict[str, float]:
        """Check the groups of a step while the engine is awake; what was measured.

        model: may be wrapped; all processes call this with the same groups. Raises RuntimeError
        with one sentence.
        """
        check_tokens(groups, self._sampler.rule.suppressed_ids)
        self._steps += 1
        if self._steps > CHECKED_STEPS or not groups:
            return {}
        group = groups[0]
        measured = {"check/logprob_gap": self._check_gap(model, group)}
        if self._steps == 1:
            check_image_tokens(unwrap(model), self._sampler.processor, group.anchor)
            measured["check/image_effect"] = self._check_image(model, group)
            if is_vision_trained(unwrap(model)):
                measured["check/vision_gap"] = self._check_vision(model, group)
        return measured

    def _check_gap(self, model: Any, group: RolloutGroup) -> float:
        gap, limit = self._gap(model, group), LOGPROB_GAP[self._format]
        if gap <= limit:  # false for NaN, too
            return gap
        raise RuntimeError(
            f"sampler and trainer give the same tokens log-probabilities that differ by {gap:.2g} "
            f"on average (at most {limit:g} in {self._format}), so they do not have the same "
            "prompt, image or weights: check that the engine gets each image once and its tokens "
            "unexpanded, or set runtime.engine to transformers; if it is rounding, set "
            "runtime.guards to false"
        )

    def _check_image(self, model: Any, group: RolloutGroup) -> float:
        (swapped,) = encode_prompts(
            model,
            self._sampler.processor,
            [group.prompt.question],
            [ImageOps.invert(group.prompt.anchor)],
            self._sampler.system,
        )
        size = len(group.completions)
        seen, other = self._score(model, group, [[(group.anchor, size)], [(swapped, size)]])
        effect, limit = (seen - other).abs().max().item(), IMAGE_EFFECT[self._format]
        if effect > limit:
            return effect
        raise RuntimeError(
            f"another image changes no log-probability by more than {effect:.2g} (at least "
            f"{limit:g} is expected in {self._format}), so the pixels do not reach the model: "
            "check the image tokens of the chat template and the processor of the start model, "
            "or set runtime.guards to false if its images may be without effect"
        )

    def _check_vision(self, model: Any, group: RolloutGroup) -> float:
        """Turn the sign of all image features and sample the same images again.

        An update of a small learning rate would move the features by less than rounding. What the
        sampler keeps of the image from before (vLLM's encoder cache) is then plainly wrong: it is
        nearer to the trainer with the old features than to the one with the new. How near either
        is depends on depth and number format, so no limit is set.
        """
        engine, number = self._sampler.engine, group.outcome.number
        with _negated_features(model):
            engine.sync(model)
            (again,) = self._sampler.sample([number])
            gap = self._gap(model, again)
        engine.sync(model)
        stale_gap = self._gap(model, again)
        if gap < stale_gap:  # false for NaN, too
            return gap
        raise RuntimeError(
            f"after a change of the vision tower the sampler's log-probabilities are {gap:.2g} "
            f"away from the trainer's on average, {stale_gap:.2g} from those without the change: "
            "it still uses image features from before; reset its encoder cache with every sync, "
            "set runtime.engine to transformers or tapo.train_vision to false, or switch this "
            "check off with runtime.guards: false"
        )

    def _gap(self, model: Any, group: RolloutGroup) -> float:
        """Mean difference, nats per token, each rollout under the image it was sampled with."""
        n1 = self._sampler.settings.anchor_rollouts
        prompts = [(group.anchor, n1)] if n1 else []
        if group.positive is not None:
            prompts.append((group.positive, len(group.completions) - n1))
        (trainer,) = self._score(model, group, [prompts])
        sampler = torch.cat([torch.tensor(row) for row in group.sampler_logprobs])
        return (trainer - sampler).abs().mean().item()

    @torch.no_grad()
    def _score(
        self,
        model: Any,
        group: RolloutGroup,
        branches: Sequence[Sequence[tuple[EncodedPrompt, int]]],
    ) -> list[torch.Tensor]:
        """Log-probabilities of all completion tokens, at temperature 1, under each branch.

        A branch: prompts with their numbers of rollouts.
        """
        pad_id = self._sampler.processor.tokenizer.pad_token_id
        ids, mask = stack_completions(group.completions, pad_id, unwrap(model).device)
        conditions = [condition_on(prompts, pad_id) for prompts in branches]
        scored = score_completions(model, conditions, ids, mask, 1.0, self._forward)
        return [logprobs[mask].cpu() for logprobs in scored]


def check_tokens(groups: Sequence[RolloutGroup], forbidden: Sequence[int]) -> None:
    """Raise RuntimeError when a completion holds an image or video token.

    No image stands behind it, so the training forward would break or shift all features.
    """
    for group in groups:
        for place, tokens in enumerate(group.completions):
            found = set(forbidden).intersection(tokens)
            if found:
                raise RuntimeError(
                    f"rollout {place} of prompt {group.outcome.number} holds the image token(s) "
                    f"{sorted(found)}: the engine must never draw them; forbid them there "
                    "(suppress_tokens, logit_bias)"
                )


def check_image_tokens(model: Any, processor: Any, prompt: EncodedPrompt) -> None:
    """Raise RuntimeError unless the prompt has as many image tokens as its image has features."""
    num_tokens = int((prompt.token_ids == model.config.image_token_id).sum())
    expanded = family_of(model).expand(processor, prompt.pixel_values, prompt.grid.cpu())
    num_features = expanded.count(processor.image_token)
    if num_tokens != num_features:
        raise RuntimeError(
            f"a prompt has {num_tokens} image tokens for {num_features} image features: the chat "
            "template must write one image token per image, which is expanded once"
        )


@contextmanager
def _negated_features(model: Any) -> Iterator[None]:
    """Inside, the image features have the other sign; weights are restored to the bit."""
    _negate_features(model)
    try:
        yield
    finally:
        _negate_features(model)


@torch.no_grad()
def _negate_features(model: Any) -> None:
    """Change the sign of the vision tower's last layer, in each process its share of it."""
    policy = unwrap(model)
    parts = [part for part in model.modules() if isinstance(part, FSDPModule)]
    for part in parts:  # whole weights are a copy, which a change would not outlive
        part.reshard()
    layers = [
        module
        for name, module in policy.model.get_submodule(family_of(policy).projector).named_modules()
        if isinstance(module, torch.nn.Linear) and "lora_" not in name
    ]
    for parameter in layers[-1].parameters(recurse=False):
        # DeepSpeed ZeRO-3 keeps a process's share in ds_tensor.
        getattr(parameter, "ds_tensor", parameter).neg_()
    torch.clear_autocast_cache()  # it keeps trained weights in the short number format
    for part in parts:
        part.unshard()
