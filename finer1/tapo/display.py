"""What a user sees while TAPO trains: metrics, one line of progress, and now and then rollouts.

Every `runtime.sheet_steps` steps there is a picture of one group and a table of several.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from finer1.model_params import RuntimeParams
from finer1.policy.forward import Forward
from finer1.progress import Progress
from finer1.tapo.losses import inter_class_kl
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler, sample_rows
from finer1.tapo.sampling import Kept
from finer1.tapo.shading import Token
from finer1.tapo.sheets import draw_sheet
from finer1.tapo.updates import lay_out, score_rollouts

TABLE_GROUPS = 3
"""Groups in a table."""


@dataclass(frozen=True)
class Outlets:
    """Where a run tells how it goes; the stage's own, see Context."""

    log: Callable[[Mapping[str, float], int], None]
    log_table: Callable[[str, Sequence[Mapping[str, object]]], None]
    log_image: Callable[[str, Image.Image, int], None]
    is_live: bool
    """Whether to print a line at every step, see Progress."""


@dataclass(frozen=True)
class Display:
    """Shows each step."""

    sampler: RolloutSampler
    runtime: RuntimeParams
    line: Progress
    outlets: Outlets

    def show(self, kept: Kept[RolloutGroup], metrics: Mapping[str, float], step: int) -> None:
        """After step `step`; the weights, and all that a later step depends on, stay."""
        settings = self.sampler.settings
        self.outlets.log(metrics, step)
        self.line.advance(1, words=step_words(metrics))
        if is_due(step, self.runtime.sheet_steps, settings.steps):
            rows = sample_rows(kept.sampled[:TABLE_GROUPS], settings.anchor_rollouts)
            self.outlets.log_table(f"rollouts/step-{step:05d}", rows)
            group = (kept.groups or kept.sampled)[0]
            tokens = token_kl(self.sampler, group, self.runtime.forward)
            self.outlets.log_image("sheet", draw_sheet(group, tokens, settings, step), step)


def is_due(step: int, every: int, last: int) -> bool:
    """True at the first step, at each `every`-th and at the last one; never when `every` is 0."""
    return every > 0 and (step in (1, last) or step % every == 0)


def step_words(metrics: Mapping[str, float]) -> str:
    """A step's metrics in a line of progress."""
    words = [
        f"{name} {metrics[key]:.2f}"
        for name, key in (
            ("reward", "reward/mean"),
            ("accuracy", "reward/accuracy"),
            ("format", "reward/format"),
            ("keep rate", "rollout/keep_rate"),
        )
    ]
    return ", ".join([*words, f"{metrics['speed/tokens_per_s']:.0f} tokens/s"])


@torch.no_grad()
def token_kl(sampler: RolloutSampler, group: RolloutGroup, forward: Forward) -> list[list[Token]]:
    """Each completion token of the group with the inter-class KL at it, nats.

    As in the loss, whether or not the loss has that term; under the policy as it now is.
    """
    model, settings = sampler.model, sampler.settings
    model.eval()
    batch = lay_out(model, sampler.processor, [group], settings, sampler.system, has_negatives=True)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        logprobs, negative = score_rollouts(model, batch, settings, forward)
    assert negative is not None
    kl = inter_class_kl(logprobs, negative, settings).tolist()
    decode = sampler.processor.tokenizer.batch_decode
    return [
        list(zip(decode([[token] for token in tokens]), row, strict=False))  # the rest is padding
        for tokens, row in zip(group.completions, kl, strict=True)
    ]
