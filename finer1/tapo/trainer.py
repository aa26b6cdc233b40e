"""TAPO as a subclass of TRL's GRPOTrainer.

A rollout step samples groups (dynamic sampling) and trains on them in `minibatches` optimizer
updates; TRL's hooks for both are overridden here. Groups stay whole: TRL shuffles single
completions, which would scatter them.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer

from finer1.policy.guard import FiniteGuard
from finer1.tapo.losses import tapo_loss
from finer1.tapo.progress import TapoProgress
from finer1.tapo.rewards import score_completion
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler, rollout_metrics
from finer1.tapo.sampling import Kept, collect_groups
from finer1.tapo.updates import MicroBatch, Update, build_updates, score_rollouts

StepEnd = Callable[[Kept[RolloutGroup], dict[str, float]], None]
"""Given the groups and the metrics of a rollout step, after its last update."""


class TapoTrainer(GRPOTrainer):
    """Trains the sampler's model; `progress` is brought forward with every rollout step."""

    def __init__(
        self,
        sampler: RolloutSampler,
        progress: TapoProgress,
        on_step_end: StepEnd,
        micro_batch: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=sampler.model,
            processing_class=sampler.processor,
            reward_funcs=score_completion,  # named for TRL; the sampler calls it
            **kwargs,
        )
        self._sampler = sampler
        self._settings = sampler.settings
        self._progress = progress
        self._micro_batch = micro_batch
        self._on_step_end = on_step_end
        self._guard = FiniteGuard(progress.skipped, progress.skipped_in_a_row)
        self._update_loss = 0.0
        self._update_sums: dict[str, float] = defaultdict(float)
        self._sums: dict[str, float] = defaultdict(float)
        self.remove_callback(PrinterCallback)
        self.add_callback(_AfterUpdate(self))

    def _prepare_inputs(self, generation_batch: Any) -> Update:
        """The next update; the first of a rollout step samples the step's groups.

        The dataloader's batch is a placeholder: how many prompts a step takes is known only
        while it samples.
        """
        number = self._step % self._settings.minibatches
        if number == 0:
            self._sums.clear()
            self._kept = self._sample_step()
            self._updates = self._build_updates()
        return self._updates[number]

    def _sample_step(self) -> Kept[RolloutGroup]:
        began, progress = time.perf_counter(), self._progress

        def sample(num_groups: int) -> list[RolloutGroup]:
            groups = self._sampler.sample(progress.next_prompt, num_groups)
            progress.next_prompt += num_groups
            return groups

        self.model.eval()
        with self.accelerator.autocast():
            kept = collect_groups(
                sample, lambda group: group.accuracies, progress.keep_rate, self._settings
            )
        self._sums["time/generate_s"] += time.perf_counter() - began
        return kept

    def _build_updates(self) -> list[Update]:
        began = time.perf_counter()
        with self.accelerator.autocast():
            updates = build_updates(
                self.model,
                self._sampler.processor,
                self._kept.groups,
                self._settings,
                self._micro_batch,
                self._sampler.system,
            )
        self._sums["time/old_logprobs_s"] += time.perf_counter() - began
        return updates

    def training_step(
        self, model: Any, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Add up the gradients of one update over its micro-batches; its loss."""
        update = self._prepare_inputs(inputs)
        model.train()
        self._update_sums.clear()
        self._update_sums["train/updates"] = bool(update.micro_batches)
        total = torch.zeros((), device=self.accelerator.device)
        for batch in update.micro_batches:
            began = time.perf_counter()
            loss = self._compute_loss(model, (batch, update.num_tokens))
            between = time.perf_counter()
            self.accelerator.backward(loss)
            total += loss.detach()
            self._sums["time/forward_s"] += between - began
            self._sums["time/backward_s"] += time.perf_counter() - between
        self._update_loss = total.item()
        self._step += 1
        return total

    def _compute_loss(self, model: Any, inputs: tuple[MicroBatch, int]) -> torch.Tensor:
        batch, num_tokens = inputs
        with self.accelerator.autocast():
            logprobs = score_rollouts(self.model, batch.conditions, batch, self._settings)
            negative = batch.negative_logprobs
            if batch.negatives is not None and negative is None:
                negative = score_rollouts(self.model, batch.negatives, batch, self._settings)
        old = logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs
        loss, metrics = tapo_loss(
            logprobs,
            old,
            negative,
            batch.advantages,
            batch.completion_mask,
            num_tokens,
            self._settings,
        )
        for name, value in metrics.items():
            self._update_sums[name] += value.item()
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip the gradients; drop them when loss or norm is not finite, so that weights stay.

        The metrics of a dropped update go with it: neither log nor checkpoint holds a NaN.
        """
        norm = super()._clip_grad_norm(model)
        if self._guard.admits(self._update_loss, float(norm)):
            for name, value in self._update_sums.items():
                self._sums[name] += value
            self._sums["train/grad_norm"] += float(norm)
            self._sums["train/lr"] = self.optimizer.param_groups[0]["lr"]
            return norm
        model.zero_grad(set_to_none=True)
        return torch.zeros(())

    def finish_update(self) -> None:
        """After the weights have changed: when it was the step's last update, close the step."""
        if self._step % self._settings.minibatches:
            return
        kept, progress = self._kept, self._progress
        progress.step += 1
        progress.last_sampled = len(kept.sampled)
        progress.last_survivors = kept.num_survivors
        progress.survivors += kept.num_survivors
        metrics = rollout_metrics(kept) | self._step_metrics()
        progress.skipped, progress.skipped_in_a_row = self._guard.skipped, self._guard.in_a_row
        metrics["train/skipped_updates"] = progress.skipped
        progress.history.append({k: v for k, v in metrics.items() if not k.startswith("time/")})
        self._on_step_end(kept, metrics)

    def _step_metrics(self) -> dict[str, float]:
        """Means over the updates of the step, without skipped ones; times are sums."""
        updates = max(1.0, self._sums["train/updates"])
        whole = ("train/lr", "train/updates")
        return {
            name: value if name in whole or name.startswith("time/") else value / updates
            for name, value in self._sums.items()
        }


class _AfterUpdate(TrainerCallback):
    def __init__(self, trainer: TapoTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the training loop after each optimizer update."""
        self._trainer.finish_update()
