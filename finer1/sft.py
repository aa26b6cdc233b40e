"""Stage 1: supervised fine-tuning on the completions (App. C of Fine-R1) with TRL's SFTTrainer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from finer1 import faults
from finer1.chat import chat_messages
from finer1.model_params import RuntimeParams, SftParams
from finer1.policy.checkpoints import load_checkpoint, save_checkpoint
from finer1.policy.folder import load_policy, save_policy
from finer1.policy.formatting import measure_format_rate
from finer1.policy.guard import FiniteGuard
from finer1.policy.image_bounds import bound_images
from finer1.policy.optimizer import build_optimizer, schedule_from
from finer1.policy.trainer_arguments import trainer_arguments
from finer1.sft_plan import SftPlan

Log = Callable[[Mapping[str, float], int], None]


@dataclass(frozen=True)
class SftExample:
    """One training row."""

    image: Image.Image
    """RGB."""
    question: str
    completion: str
    """All text that is to be generated, without the end token."""


@dataclass
class SftProgress:
    """Where a run stands; JSON values only."""

    step: int = 0
    """Optimizer steps done."""
    is_finished: bool = False
    losses: list[float] = field(default_factory=list)
    """Loss of each step, mean over its completion tokens; skipped steps have none."""
    skipped: int = 0
    """Updates skipped for a loss or gradient that is not finite."""
    skipped_in_a_row: int = 0


def train_sft(
    base: Path,
    examples: Sequence[SftExample],
    settings: SftParams,
    runtime: RuntimeParams,
    system_prompt: str,
    seed: int,
    output: Path,
    resume: Path,
    log: Log,
) -> dict[str, float]:
    """Train the model folder `base` into `output`; metrics of the run.

    settings: of one step at least. resume: scratch folder; a call with the folder of a killed one
    ends with the same weights.
    Raises ValueError for settings that contradict each other, RuntimeError for a missed format.
    """
    _check_settings(settings)
    model, processor, optimizer = _start(base, settings, runtime.device)
    checkpoints = resume / "checkpoints"
    progress = SftProgress(**(load_checkpoint(checkpoints, model, optimizer) or {}))
    plan = SftPlan(len(examples), settings, seed)
    shown = [examples[i] for i in plan.format_rows()]
    format_rate = partial(_format_rate, model, processor, shown, system_prompt, runtime.batch_size)

    def after_step(metrics: dict[str, float]) -> bool:
        log(metrics, progress.step)
        if progress.step in plan.check_steps():
            rate = format_rate()
            log({"train/format_rate": rate}, progress.step)
            progress.is_finished = rate >= settings.min_format_rate
        progress.is_finished |= progress.step == plan.num_steps
        if progress.step % runtime.save_steps == 0:
            save_checkpoint(checkpoints, progress.step, model, optimizer, asdict(progress))
        return progress.is_finished

    if not progress.is_finished:
        _SftTrainer(
            progress=progress,
            after_step=after_step,
            order=plan.order()[progress.step * settings.batch_size :],
            model=model,
            processing_class=processor,
            args=_arguments(settings, runtime, plan.num_steps - progress.step, seed, resume),
            train_dataset=_dataset(examples, processor, system_prompt),
            optimizers=(optimizer, schedule_from(optimizer, plan.lr_factor, progress.step)),
        ).train()
    metrics = _summary(progress, plan, format_rate())
    _save(model, base, output, settings)
    return metrics


def _start(base: Path, settings: SftParams, device: str) -> tuple[Any, Any, Any]:
    """Model, processor and optimizer."""
    model, processor = load_policy(base, device, settings.train_vision)
    bound_images(processor, settings.min_pixels, settings.max_pixels)
    return model, processor, _optimizer(model, settings)


def _save(model: Any, base: Path, output: Path, settings: SftParams) -> None:
    save_policy(model, base, output, bounds=(settings.min_pixels, settings.max_pixels))


def _check_settings(settings: SftParams) -> None:
    if settings.min_format_rate > 0 and settings.max_epochs < settings.epochs:
        raise ValueError(
            f"sft.max_epochs ({settings.max_epochs}) must not be below sft.epochs "
            f"({settings.epochs})"
        )
    if settings.min_format_rate > 0 and settings.steps is not None:
        raise ValueError(
            f"sft.steps ({settings.steps}) says how long to train, and so does sft.min_format_rate "
            f"({settings.min_format_rate:g}); set sft.steps to null, or sft.min_format_rate to 0"
        )


class _SftTrainer(SFTTrainer):
    """Takes rows in a given order, skips what is not finite, reports each optimizer step."""

    def __init__(
        self,
        progress: SftProgress,
        after_step: Callable[[dict[str, float]], bool],
        order: list[int],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._order = order
        self._progress = progress
        self._after_step = after_step
        self._guard = FiniteGuard(progress.skipped, progress.skipped_in_a_row)
        self._loss = self._norm = self._lr = 0.0
        self.remove_callback(PrinterCallback)
        self.add_callback(_AfterStep(self))

    def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
        return self._order

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Gradients of one micro-batch; its share of the step's loss."""
        loss = super().training_step(*args, **kwargs)
        self._loss += faults.number("sft:loss", loss.item())
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        self._norm, self._lr = float(norm), self.optimizer.param_groups[0]["lr"]
        if not self._guard.admits(self._loss, self._norm):
            model.zero_grad(set_to_none=True)
        return norm

    def finish_step(self) -> bool:
        """After the weights have changed; true when training is to end."""
        progress = self._progress
        progress.step += 1
        metrics = {"train/lr": self._lr}
        if self._guard.in_a_row == 0:  # what is not finite fits neither a log nor a checkpoint
            progress.losses.append(self._loss)
            metrics |= {"train/loss": self._loss, "train/grad_norm": self._norm}
        progress.skipped, progress.skipped_in_a_row = self._guard.skipped, self._guard.in_a_row
        self._loss = 0.0
        return self._after_step(metrics)


class _AfterStep(TrainerCallback):
    def __init__(self, trainer: _SftTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the training loop after each optimizer step."""
        control.should_training_stop |= self._trainer.finish_step()


def _optimizer(model: Any, settings: SftParams) -> Any:
    betas = (settings.adam_beta1, settings.adam_beta2)
    return build_optimizer(model, settings.lr, settings.weight_decay, betas)


def _format_rate(
    model: Any, processor: Any, examples: Sequence[SftExample], system: str, batch_size: int
) -> float:
    return measure_format_rate(
        model,
        processor,
        [example.question for example in examples],
        [example.image for example in examples],
        [example.completion for example in examples],
        system,
        batch_size,
    )


def _summary(progress: SftProgress, plan: SftPlan, format_rate: float) -> dict[str, float]:
    settings = plan.settings
    if format_rate < settings.min_format_rate:
        raise RuntimeError(
            f"after {settings.max_epochs:g} epochs {format_rate:.1%} of the training completions "
            f"are in the format, fewer than sft.min_format_rate ({settings.min_format_rate:g}); "
            "raise sft.max_epochs or sft.lr, or lower sft.min_format_rate"
        )
    last_pass = progress.losses[-plan.steps_of(1) :]
    return {
        **({"train/loss": sum(last_pass) / len(last_pass)} if last_pass else {}),
        "train/format_rate": format_rate,
        "train/rows": plan.num_rows,
        "train/steps": progress.step,
        "train/skipped_updates": progress.skipped,
    }


def _dataset(examples: Sequence[SftExample], processor: Any, system: str) -> Dataset:
    """Prompt, completion and image columns; the text as inference will see it."""
    end = processor.tokenizer.eos_token
    return Dataset.from_dict(
        {
            "images": [[example.image] for example in examples],
            "prompt": [
                processor.apply_chat_template(
                    chat_messages(example.question, 1, system),
                    add_generation_prompt=True,
                    tokenize=False,
                )
                for example in examples
            ],
            "completion": [f"{example.completion}{end}" for example in examples],
        }
    )


def _arguments(
    settings: SftParams, runtime: RuntimeParams, max_steps: int, seed: int, folder: Path
) -> SFTConfig:
    sizes = range(1, min(settings.batch_size, runtime.micro_batch) + 1)
    micro_batch = max(size for size in sizes if settings.batch_size % size == 0)
    return SFTConfig(
        **trainer_arguments(runtime, "sft", seed, folder),
        max_steps=max_steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=settings.batch_size // micro_batch,
        learning_rate=settings.lr,
        max_grad_norm=settings.max_grad_norm,
        completion_only_loss=True,
        max_length=None,
    )
