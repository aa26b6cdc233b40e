"""Sampling of rollouts with passed random numbers, from prompts that are run once each.

transformers' own `generate` draws from the global generator and runs the prompt and the vision
tower once per sample; for a small model that is more than half of the time. Each completion comes
with random numbers of its own, so what is drawn does not depend on what is sampled beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finer1.policy.encoding import PromptBatch
from finer1.policy.families.interface import family_of
from finer1.policy.shared_prefix import Prefix, run_prefix


@dataclass(frozen=True)
class SamplingRule:
    """How completion tokens are drawn."""

    temperature: float
    """0 takes the most likely token."""
    top_p: float
    max_tokens: int
    stop_ids: tuple[int, ...]
    suppressed_ids: tuple[int, ...]
    """Never drawn: a vision token without an image would break the training forward."""


@dataclass(frozen=True)
class Completion:
    """What was drawn."""

    token_ids: list[int]
    """The stop token included when it was reached."""
    logprobs: list[float]
    """Of each token over the whole vocabulary: temperature 1, no nucleus, nothing suppressed."""


@torch.no_grad()
def sample_completions(
    model: Any,
    prompts: PromptBatch,
    owners: Sequence[int],
    rule: SamplingRule,
    uniforms: torch.Tensor | None,
) -> list[Completion]:
    """One completion per owner.

    owners: the prompt in `prompts` that each completion continues. uniforms: [R, max_tokens], a
    number in [0, 1) per completion and token; None when the temperature is 0.
    """
    device = prompts.token_ids.device
    chances = None if uniforms is None else uniforms.to(device)
    prefix = run_prefix(model, prompts, torch.tensor(owners, device=device))
    completions = [Completion([], []) for _ in owners]
    active = list(range(len(owners)))
    embeddings, positions = prefix.last, prefix.next_positions - 1
    mask = prefix.mask
    for place in range(rule.max_tokens):
        hidden = _run_token(model, embeddings, positions, mask, prefix)
        chance = None if chances is None else chances[:, place]
        logits = model.lm_head(hidden).float()
        norms = logits.logsumexp(dim=-1)
        tokens = draw_tokens(logits, rule, chance)
        logprobs = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - norms
        for row, token, logprob in zip(active, tokens.tolist(), logprobs.tolist(), strict=True):
            if row >= 0:
                completions[row].token_ids.append(token)
                completions[row].logprobs.append(logprob)
        ended = torch.isin(tokens, torch.tensor(rule.stop_ids, device=device)).tolist()
        active = [-1 if end else row for row, end in zip(active, ended, strict=True)]
        left = [i for i, row in enumerate(active) if row >= 0]
        if not left:
            break
        positions = positions + 1
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
        if 2 * len(left) <= len(active):  # half are done: go on with the rest alone
            rows = torch.tensor(left, device=device)
            active = [active[i] for i in left]
            tokens, positions, mask = tokens[rows], positions[rows], mask[rows]
            chances = None if chances is None else chances[rows]
            prefix.cache.batch_select_indices(rows)
        embeddings = model.get_input_embeddings()(tokens.unsqueeze(-1))
    return completions


def _run_token(
    model: Any,
    embeddings: torch.Tensor,
    positions: torch.Tensor,
    mask: torch.Tensor,
    prefix: Prefix,
) -> torch.Tensor:
    """Last hidden state [R, D] after one more token; the cache grows by it."""
    family, places = family_of(model), positions.unsqueeze(-1)
    output = model.model.language_model(
        inputs_embeds=embeddings,
        # Where it is taken the finished mask: building it at each token costs more than its use.
        attention_mask=(
            {"full_attention": mask[:, None, None, :]} if family.packs else mask.long()
        ),
        position_ids=places.expand(3, -1, -1) if family.has_axes else places,
        past_key_values=prefix.cache,
        use_cache=True,
    )
    return output.last_hidden_state[:, -1]


def draw_tokens(
    logits: torch.Tensor, rule: SamplingRule, uniforms: torch.Tensor | None
) -> torch.Tensor:
    """A token [R] per row of logits [R, V], by inverting the distribution at uniforms [R]."""
    logits[:, list(rule.suppressed_ids)] = float("-inf")
    if rule.temperature == 0:
        return logits.argmax(dim=-1)
    if uniforms is None:
        raise ValueError("sampling at a temperature above 0 needs random numbers")
    probabilities = torch.softmax(logits / rule.temperature, dim=-1)
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    sums = ordered.cumsum(dim=-1)
    # The first token that reaches top_p belongs to the nucleus; impossible ones never do.
    nucleus = (sums - ordered < rule.top_p) & (ordered > 0)
    last = nucleus.sum(dim=-1, keepdim=True) - 1
    target = uniforms.unsqueeze(-1) * sums.gather(-1, last)
    picks = torch.minimum(torch.searchsorted(sums, target, right=True), last)
    return tokens.gather(-1, picks).squeeze(-1)
