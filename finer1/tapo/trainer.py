"""TAPO as a subclass of TRL's GRPOTrainer.

A rollout step samples groups (dynamic sampling) and trains on them in `minibatches` optimizer
updates; TRL's hooks for both are overridden here. Groups stay whole: TRL shuffles single
completions, which would scatter them.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer

from finer1 import faults
from finer1.draws import derive_seed
from finer1.policy.checkpoints import Checkpoint
from finer1.policy.forward import Forward
from finer1.policy.guard import FiniteGuard
from finer1.policy.processes import World
from finer1.policy.resuming import Resuming
from finer1.policy.saves import Saves
from finer1.policy.sharding import collect, run_whole
from finer1.tapo.exchange import sample_together
from finer1.tapo.guards import SamplerGuard
from finer1.tapo.learning import learning_reports, log_new_reports
from finer1.tapo.losses import tapo_loss
from finer1.tapo.phases import phase_metrics
from finer1.tapo.progress import TapoProgress
from finer1.tapo.rewards import score_completion
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler, rollout_metrics
from finer1.tapo.sampling import Kept, collect_groups, is_informative
from finer1.tapo.shares import share_out
from finer1.tapo.updates import MicroBatch, Update, build_updates, score_rollouts

StepEnd = Callable[[Kept[RolloutGroup], dict[str, float]], None]
"""Given the groups and the metrics of a rollout step, after its last update; may run the model."""


class TapoTrainer(Resuming, GRPOTrainer):
    """Trains the sampler's model; `progress` is brought forward with every rollout step.

    One of the processes of `world`. They sample and train on shares, and each has the same
    progress. checkpoint: where to go on, None at the start.
    """

    def __init__(
        self,
        sampler: RolloutSampler,
        progress: TapoProgress,
        checkpoint: Checkpoint | None,
        world: World,
        on_step_end: StepEnd,
        saves: Saves | None,
        micro_batch: int,
        forward: Forward,
        guards: bool,
        optimizers: tuple[Any, Any],
        **kwargs: Any,
    ) -> None:
        """guards: see RuntimeParams. optimizers: optimizer and schedule."""
        super().__init__(
            model=sampler.model,
            processing_class=sampler.processor,
            reward_funcs=score_completion,  # named for TRL; the sampler calls it
            **kwargs,
        )
        self.given, self.checkpoint = optimizers, checkpoint
        self._sampler = sampler
        self.clock = sampler.clock
        self._settings = sampler.settings
        self._progress = progress
        self._world = world
        self._micro_batch = micro_batch
        self._forward = forward
        self._on_step_end = on_step_end
        self._saves = saves
        self._guard = FiniteGuard(progress.skipped, progress.skipped_in_a_row)
        number_format = "bfloat16" if self.args.bf16 else "float32"
        self._sampler_guard = SamplerGuard(sampler, forward, number_format, guards)
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
            run_whole(self.model_wrapped, self._begin_step)
        return self._updates[number]

    def _begin_step(self) -> None:
        self._kept = self._sample_step()
        self._updates = self._build_updates()

    def _sample_step(self) -> Kept[RolloutGroup]:
        progress, first = self._progress, self._progress.next_prompt

        def sample(num_groups: int) -> list[RolloutGroup]:
            stream = self._sampler.stream
            numbers = stream.take(progress.next_prompt, num_groups, progress.streaks)
            progress.next_prompt = numbers[-1] + 1
            return sample_together(self._sampler, numbers, self._world)

        self.model.eval()
        with self.clock.phase("sync"):
            self._sampler.engine.sync(self.model)
        with self.clock.phase("generate"), self.accelerator.autocast():
            kept = collect_groups(
                sample, lambda group: group.accuracies, progress.recent, self._settings
            )
        with self.accelerator.autocast():
            self._guard_metrics = self._sampler_guard.check(self.model, kept.sampled)
        self._sampler.engine.sleep()
        self._num_passed_over = progress.next_prompt - first - len(kept.sampled)
        for group in kept.sampled:
            if group not in kept.groups:
                group.forget_inputs()
        return kept

    def _build_updates(self) -> list[Update]:
        shares = share_out(self._kept.groups, self._settings, self._micro_batch, self._world)
        with self.accelerator.autocast():
            return build_updates(
                self.model,
                self._sampler.processor,
                shares,
                self._settings,
                self._sampler.system,
                self._forward,
                self.clock,
            )

    def training_step(
        self, model: Any, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Add up the gradients of one update over its micro-batches; its loss."""
        update = self._prepare_inputs(inputs)
        self._seed_update()
        model.train()
        self._update_sums.clear()
        last = len(update.micro_batches) - 1
        for number, batch in enumerate(update.micro_batches):
            # Gradients of the processes are averaged in the backward of the last part alone.
            with nullcontext() if number == last else self.accelerator.no_sync(model):
                # DeepSpeed is told in this way; it makes its step in the backward of the last.
                self.accelerator.gradient_state._set_sync_gradients(number == last)
                self._add_gradient(model, batch, update.num_tokens)
        self._update_metrics = self._world.add_up(self._update_sums)
        self._update_loss = self._update_metrics.get("loss/total", 0.0)
        self._update_metrics["train/updates"] = bool(update.micro_batches)
        self._step += 1
        return torch.tensor(self._update_loss, device=self.args.device)

    def _seed_update(self) -> None:
        """Make dropout a function of the update, so that a continued run draws the same."""
        place = (self._progress.step, self._step % self._settings.minibatches, self._world.rank)
        torch.manual_seed(derive_seed(self._sampler.stream.seed, "tapo update", str(place)))

    def _add_gradient(self, model: Any, batch: MicroBatch, num_tokens: int) -> None:
        both = batch.negatives is not None and batch.negative_logprobs is None
        with self.clock.phase("anchor_negative" if both else "anchor"):
            loss = self._compute_loss(model, (batch, num_tokens))
        with self.clock.phase("backward"):
            # The loss is a share of the whole update's, and the processes' gradients are averaged.
            self.accelerator.backward(loss * (0 if batch.is_idle else self._world.size))

    def _compute_loss(self, model: Any, inputs: tuple[MicroBatch, int]) -> torch.Tensor:
        batch, num_tokens = inputs
        with self.accelerator.autocast():
            logprobs, negative = score_rollouts(model, batch, self._settings, self._forward)
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
            self._update_sums[name] += 0.0 if batch.is_idle else value.item()
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip the gradients; drop them when loss or norm is not finite, so that weights stay.

        Both are of all processes, so all drop or none. The metrics of a dropped update go with
        it: neither log nor checkpoint holds a NaN. One without groups is not judged: it is finite
        whatever the weights are.
        """
        with self.clock.phase("optimizer"):
            norm = collect(torch.as_tensor(super()._clip_grad_norm(model)))  # DeepSpeed: a float
        has_groups = self._update_metrics["train/updates"]
        if not has_groups or self._guard.admits(
            faults.number("tapo:loss", self._update_loss), float(norm)
        ):
            for name, value in self._update_metrics.items():
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
        progress.count(kept, self._settings.keep_rate_decay)
        if self._settings.explore_rate < 1:
            self._count_streaks()
        metrics = rollout_metrics(kept) | self._step_metrics()
        progress.skipped, progress.skipped_in_a_row = self._guard.skipped, self._guard.in_a_row
        metrics["train/skipped_updates"] = progress.skipped
        metrics["rollout/passed_over"] = self._num_passed_over
        progress.history.append(metrics)
        metrics |= learning_reports(progress.history)  # in the history, too
        if self._world.is_main:
            log_new_reports(progress.history)
        shown = metrics | self._guard_metrics | self._phase_metrics()
        run_whole(self.model_wrapped, lambda: self._on_step_end(kept, shown))
        if self._saves is not None:
            self._saves.keep(self.model, self.optimizer, progress)

    def _count_streaks(self) -> None:
        """Note which anchors gave degenerate groups, for the stream to pass over some of them."""
        for group in self._kept.sampled:
            anchor = self._sampler.stream.triplet(group.outcome.number).anchor
            streak = self._progress.streaks.get(anchor, 0)
            is_mixed = is_informative(group.accuracies, self._settings)
            self._progress.streaks[anchor] = 0 if is_mixed else streak + 1

    def _step_metrics(self) -> dict[str, float]:
        """Means over the updates of the step, without skipped ones."""
        updates = max(1.0, self._sums["train/updates"])
        whole = ("train/lr", "train/updates")
        return {
            name: value if name in whole else value / updates for name, value in self._sums.items()
        }

    def _phase_metrics(self) -> dict[str, float]:
        """Times and speeds of the step; they vary, so neither history nor checkpoint has them."""
        sampled = sum(len(tokens) for group in self._kept.sampled for tokens in group.completions)
        trained = sum(update.num_tokens for update in self._updates)
        return phase_metrics(self.clock.lap(), sampled, trained)


class _AfterUpdate(TrainerCallback):
    def __init__(self, trainer: TapoTrainer) -> None:
        self._trainer = trainer

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called when the gradients are clipped."""
        self._trainer.clock.begin("optimizer")

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called when the optimizer has changed the weights."""
        self._trainer.clock.end()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the training loop after each optimizer update."""
        self._trainer.finish_update()
