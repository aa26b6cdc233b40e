"""Groups of rollouts: completions under the anchor and under a positive image, one pool.

The random numbers of a group are a function of (seed, number of its prompt): which groups are
sampled together changes nothing but rounding.

Shape letters: n1 anchor rollouts, n2 positive rollouts, G = n1 + n2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from PIL import Image

from finer1.draws import derive_seed
from finer1.model_params import TapoParams
from finer1.policy.encoding import EncodedPrompt, encode_prompts
from finer1.policy.generation import Completion, SamplingRule
from finer1.tapo.phases import PhaseClock
from finer1.tapo.rewards import Reward, score_completion
from finer1.tapo.samplers.interface import RolloutEngine, RolloutRequest
from finer1.tapo.sampling import Kept
from finer1.tapo.stream import Prompt, PromptStream


@dataclass(frozen=True)
class Outcome:
    """The rollouts of one prompt, anchor rollouts first: what processes tell each other of it."""

    number: int
    """Of the prompt, in the stream."""
    completions: list[list[int]]
    """Token ids, the stop token included."""
    sampler_logprobs: list[list[float]]
    """Log-probability of each token under the image it was sampled with, at temperature 1; for
    comparison with the trainer's, not for the loss."""
    texts: list[str]
    rewards: list[Reward]

    @property
    def accuracies(self) -> list[float]:
        """Accuracy reward of each rollout."""
        return [reward.accuracy for reward in self.rewards]

    @property
    def num_tokens(self) -> int:
        """Completion tokens of all rollouts."""
        return sum(len(tokens) for tokens in self.completions)


class RolloutGroup:
    """An outcome and its inputs, a function of the prompt's number.

    An input that is not at hand is made where it is asked for: none is when another process
    sampled the group, or after `forget_inputs`.
    """

    def __init__(
        self,
        outcome: Outcome,
        sampler: "RolloutSampler",
        prompt: Prompt | None = None,
        anchor: EncodedPrompt | None = None,
        positive: EncodedPrompt | None = None,
    ) -> None:
        """prompt, anchor, positive: inputs that are at hand."""
        self.outcome = outcome
        self._sampler = sampler
        self._prompt = prompt
        self._anchor = anchor
        self._positive = positive

    @property
    def completions(self) -> list[list[int]]:
        """See Outcome."""
        return self.outcome.completions

    @property
    def sampler_logprobs(self) -> list[list[float]]:
        """See Outcome."""
        return self.outcome.sampler_logprobs

    @property
    def texts(self) -> list[str]:
        """See Outcome."""
        return self.outcome.texts

    @property
    def rewards(self) -> list[Reward]:
        """See Outcome."""
        return self.outcome.rewards

    @property
    def accuracies(self) -> list[float]:
        """See Outcome."""
        return self.outcome.accuracies

    @property
    def num_tokens(self) -> int:
        """See Outcome."""
        return self.outcome.num_tokens

    @property
    def prompt(self) -> Prompt:
        """The question with its three images."""
        if self._prompt is None:
            self._prompt = self._sampler.stream.prompt(self.outcome.number)
        return self._prompt

    @property
    def anchor(self) -> EncodedPrompt:
        """The question under the anchor."""
        if self._anchor is None:
            (self._anchor,) = self._sampler.encode([self.prompt], [self.prompt.anchor], {})
        return self._anchor

    @property
    def positive(self) -> EncodedPrompt | None:
        """The question under the positive; None when there are no positive rollouts."""
        if self._positive is None and self._sampler.settings.positive_rollouts:
            (self._positive,) = self._sampler.encode([self.prompt], [self.prompt.positive], {})
        return self._positive

    def forget_inputs(self) -> None:
        """Free their memory, tens of MB where images are large."""
        self._prompt = self._anchor = self._positive = None


@dataclass(frozen=True)
class RolloutSampler:
    """Samples groups from prompts of the stream."""

    model: Any
    processor: Any
    stream: PromptStream
    settings: TapoParams
    rule: SamplingRule
    system: str
    batch_size: int
    """Images encoded at once."""
    clock: PhaseClock
    engine: RolloutEngine

    def sample(self, numbers: Sequence[int]) -> list[RolloutGroup]:
        """The groups of the prompts of these numbers."""
        if not numbers:  # a process of many may have nothing to sample
            return []
        n1, n2 = self.settings.anchor_rollouts, self.settings.positive_rollouts
        prompts = [self.stream.prompt(number) for number in numbers]
        known: dict[bytes, EncodedPrompt] = {}
        anchors = self.encode(prompts, [prompt.anchor for prompt in prompts], known)
        positives: list[EncodedPrompt] | list[None] = [None] * len(prompts)
        if n2:
            positives = self.encode(prompts, [prompt.positive for prompt in prompts], known)
        inputs = list(zip(prompts, anchors, positives, strict=True))
        requests = []
        for prompt, anchor, positive in inputs:
            if n1:
                requests.append(self._request(prompt, anchor, prompt.anchor, range(n1)))
            if positive is not None:
                places = range(n1, n1 + n2)
                requests.append(self._request(prompt, positive, prompt.positive, places))
        sampled = chain.from_iterable(self.engine.sample(requests, self.rule))
        groups = []
        for prompt, anchor, positive in inputs:
            outcome = self._judge(prompt, list(islice(sampled, n1 + n2)))
            groups.append(RolloutGroup(outcome, self, prompt, anchor, positive))
        return groups

    def hear(self, outcome: Outcome) -> RolloutGroup:
        """The group of which another process told the outcome."""
        return RolloutGroup(outcome, self)

    def encode(
        self,
        prompts: Sequence[Prompt],
        images: Sequence[Image.Image],
        known: dict[bytes, EncodedPrompt],
    ) -> list[EncodedPrompt]:
        """The questions, each under its image. known: see encode_prompts."""
        encoded = []
        for start in range(0, len(prompts), self.batch_size):
            part = slice(start, start + self.batch_size)
            questions = [prompt.question for prompt in prompts[part]]
            encoded += encode_prompts(
                self.model, self.processor, questions, images[part], self.system, known
            )
        return encoded

    def _request(
        self, prompt: Prompt, encoded: EncodedPrompt, image: Image.Image, places: range
    ) -> RolloutRequest:
        seed = derive_seed(self.stream.seed, "tapo rollouts", str(prompt.number))
        return RolloutRequest(encoded, prompt.question, image, seed, places)

    def _judge(self, prompt: Prompt, completions: list[Completion]) -> Outcome:
        token_ids = [completion.token_ids for completion in completions]
        logprobs = [completion.logprobs for completion in completions]
        with self.clock.phase("reward"):
            texts = self.processor.tokenizer.batch_decode(token_ids, skip_special_tokens=True)
            rewards = [
                score_completion(text, prompt.label, prompt.labels, self.settings) for text in texts
            ]
        return Outcome(prompt.number, token_ids, logprobs, texts, rewards)


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
        if len(group.rewards) > num_anchor_rollouts:
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
