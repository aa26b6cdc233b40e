"""Groups of rollouts: completions under the anchor and under a positive image, one pool.

The random numbers of a group are a function of (seed, number of its prompt): which groups are
sampled together changes nothing but rounding.

Shape letters: n1 anchor rollouts, n2 positive rollouts, G = n1 + n2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finer1.draws import derive_seed
from finer1.model_params import TapoParams
from finer1.policy.encoding import EncodedPrompt, encode_prompts, stack_prompts
from finer1.policy.generation import SamplingRule, sample_completions
from finer1.tapo.rewards import Reward, score_completion
from finer1.tapo.sampling import Kept
from finer1.tapo.stream import Prompt, PromptStream


@dataclass(frozen=True)
class RolloutGroup:
    """The rollouts of one prompt, anchor rollouts first."""

    prompt: Prompt
    anchor: EncodedPrompt
    positive: EncodedPrompt | None
    """None when there are no positive rollouts."""
    completions: list[list[int]]
    """Token ids, the stop token included."""
    texts: list[str]
    rewards: list[Reward]

    @property
    def accuracies(self) -> list[float]:
        """Accuracy reward of each rollout."""
        return [reward.accuracy for reward in self.rewards]


@dataclass(frozen=True)
class RolloutSampler:
    """Samples groups from consecutive prompts of the stream."""

    model: Any
    processor: Any
    stream: PromptStream
    settings: TapoParams
    rule: SamplingRule
    system: str
    batch_size: int
    """Completions sampled at once."""

    def sample(self, first: int, num_groups: int) -> list[RolloutGroup]:
        """The groups of the prompts `first`, `first` + 1, ..."""
        size = self.settings.anchor_rollouts + self.settings.positive_rollouts
        at_once = max(1, self.batch_size // size)
        groups = []
        for start in range(first, first + num_groups, at_once):
            numbers = range(start, min(start + at_once, first + num_groups))
            prompts = [self.stream.prompt(number) for number in numbers]
            groups += self._sample(prompts)
        return groups

    def _sample(self, prompts: list[Prompt]) -> list[RolloutGroup]:
        n1, n2 = self.settings.anchor_rollouts, self.settings.positive_rollouts
        images = [prompt.anchor for prompt in prompts]
        images += [prompt.positive for prompt in prompts] if n2 else []
        encoded = encode_prompts(
            self.model,
            self.processor,
            [prompt.question for prompt in prompts] * (len(images) // len(prompts)),
            images,
            self.system,
        )
        anchors, positives = encoded[: len(prompts)], encoded[len(prompts) :]
        owners = [i for i in range(len(prompts)) for _ in range(n1)]
        owners += [len(prompts) + i for i in range(len(prompts)) for _ in range(n2)]
        batch = stack_prompts(encoded, self.processor.tokenizer.pad_token_id)
        uniforms = [self._uniforms(prompt.number) for prompt in prompts]
        chances = torch.cat([rows[:n1] for rows in uniforms] + [rows[n1:] for rows in uniforms])
        completions = sample_completions(self.model, batch, owners, self.rule, chances)
        split = n1 * len(prompts)
        return [
            self._group(
                prompt,
                anchors[i],
                positives[i] if n2 else None,
                completions[i * n1 : (i + 1) * n1]
                + completions[split + i * n2 : split + (i + 1) * n2],
            )
            for i, prompt in enumerate(prompts)
        ]

    def _uniforms(self, number: int) -> torch.Tensor:
        """[G, max_tokens] random numbers in [0, 1) of a prompt's rollouts, equal on all devices."""
        generator = torch.Generator()
        generator.manual_seed(derive_seed(self.stream.seed, "tapo rollouts", str(number)))
        size = self.settings.anchor_rollouts + self.settings.positive_rollouts
        return torch.rand(size, self.rule.max_tokens, generator=generator)

    def _group(
        self,
        prompt: Prompt,
        anchor: EncodedPrompt,
        positive: EncodedPrompt | None,
        completions: list[list[int]],
    ) -> RolloutGroup:
        texts = self.processor.tokenizer.batch_decode(completions, skip_special_tokens=True)
        rewards = [
            score_completion(text, prompt.label, prompt.labels, self.settings) for text in texts
        ]
        return RolloutGroup(prompt, anchor, positive, completions, texts, rewards)


def rollout_metrics(kept: Kept[RolloutGroup]) -> dict[str, float]:
    """Means over all rollouts sampled in a step, dropped groups included, and their counts."""
    rewards = [reward for group in kept.sampled for reward in group.rewards]
    lengths = [len(tokens) for group in kept.sampled for tokens in group.completions]
    return {
        "reward/mean": _mean([reward.total for reward in rewards]),
        "reward/accuracy": _mean([reward.accuracy for reward in rewards]),
        "reward/format": _mean([reward.format for reward in rewards]),
        "rollout/completion_tokens": _mean(lengths),
        "rollout/unparsed": _mean([not reward.is_parsed for reward in rewards]),
        "rollout/truth_in_options": _mean([reward.is_truth_among_options for reward in rewards]),
        "rollout/answer_equals_prediction": _mean([r.is_answer_predicted for r in rewards]),
        "rollout/hedged": _mean([reward.is_hedged for reward in rewards]),
        "rollout/keep_rate": kept.num_survivors / len(kept.sampled),
        "rollout/groups": len(kept.sampled),
        "rollout/refills": kept.num_refills,
        "rollout/exhausted": float(kept.is_exhausted),
        "train/groups": len(kept.groups),
    }


def sample_rows(groups: Sequence[RolloutGroup], num_anchor_rollouts: int) -> list[dict[str, Any]]:
    """A table row for the first anchor and the first positive rollout of each group."""
    rows = []
    for group in groups:
        first = {0: "anchor"} if num_anchor_rollouts else {}
        if group.positive is not None:
            first[num_anchor_rollouts] = "positive"
        for index, kind in first.items():
            prompt, reward = group.prompt, group.rewards[index]
            rows.append(
                {
                    "image": prompt.anchor if kind == "anchor" else prompt.positive,
                    "sampled under": kind,
                    "question": prompt.question,
                    "truth": prompt.label,
                    "completion": group.texts[index],
                    "reward": reward.total,
                    "accuracy": reward.accuracy,
                    "format": reward.format,
                }
            )
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
