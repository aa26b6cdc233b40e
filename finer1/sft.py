"""Stage 1: supervised fine-tuning on the completions (App. C of Fine-R1) with TRL's SFTTrainer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from trl import SFTConfig

from finer1.chat import as_data, render_prompt, special_tokens
from finer1.model_params import RuntimeParams, SftParams
from finer1.policy.folder import load_policy, save_policy
from finer1.policy.formatting import measure_format_rate
from finer1.policy.image_bounds import bound_images
from finer1.policy.optimizer import build_optimizer, schedule_from
from finer1.policy.processes import World, join_world
from finer1.policy.saves import Saves
from finer1.policy.sharding import run_whole
from finer1.policy.trainer_arguments import trainer_arguments
from finer1.sft_plan import SftPlan, micro_rows
from finer1.sft_trainer import OrderedSftTrainer, SftProgress

Log = Callable[[Mapping[str, float], int], None]


@dataclass(frozen=True)
class SftExample:
    """One training row."""

    image: Image.Image
    """RGB."""
    question: str
    completion: str
    """All text that is to be generated, without the end token."""


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
    ends with the same weights. Of several processes, each calls it; one writes and logs.
    Raises ValueError for settings that contradict each other, RuntimeError for a missed format.
    """
    _check_settings(settings)
    world = join_world(runtime.device)
    own = own_rows(settings.batch_size, world)
    model, processor, optimizer = _start(base, settings, runtime.device)
    saves = Saves(resume / "checkpoints", runtime.save_steps, world)
    checkpoint = saves.newest()
    progress = SftProgress(**checkpoint.state) if checkpoint else SftProgress()
    plan = SftPlan(len(examples), settings, seed)
    shown = [examples[i] for i in plan.format_rows()]
    check = _FormatCheck(model, processor, shown, system_prompt, runtime.batch_size, world)
    wrapped = model
    if not progress.is_finished:
        trainer = OrderedSftTrainer(
            progress=progress,
            checkpoint=checkpoint,
            world=world,
            after_step=partial(_close_step, progress, plan, check, saves, log),
            order=plan.order()[progress.step * settings.batch_size :],
            model=model,
            processing_class=processor,
            args=_arguments(settings, runtime, own, plan.num_steps - progress.step, seed, resume),
            train_dataset=_dataset(examples, processor, system_prompt),
            optimizers=(optimizer, schedule_from(optimizer, plan.lr_factor, progress.step)),
        )
        trainer.train()
        wrapped = trainer.model_wrapped
    elif checkpoint is not None:  # killed between its last checkpoint and its end
        checkpoint.load_weights(model)
    metrics = _summary(progress, plan, check.rate(wrapped))
    _save(model, base, output, settings, world)
    return metrics


@dataclass(frozen=True)
class _FormatCheck:
    """How often the model keeps the format on the rows that are shown to it."""

    model: Any
    processor: Any
    shown: Sequence[SftExample]
    system: str
    batch_size: int
    world: World

    def rate(self, wrapped: Any) -> float:
        """The share; `wrapped` is the model as the trainer has it. Every process must ask."""
        rates: list[float] = []
        run_whole(wrapped, lambda: rates.append(self._measure()))
        return rates[0]

    def _measure(self) -> float:
        return measure_format_rate(
            self.model,
            self.processor,
            [example.question for example in self.shown],
            [example.image for example in self.shown],
            [example.completion for example in self.shown],
            self.system,
            self.batch_size,
            self.world,
        )


def _close_step(
    progress: SftProgress,
    plan: SftPlan,
    check: _FormatCheck,
    saves: Saves,
    log: Log,
    trainer: OrderedSftTrainer,
    metrics: dict[str, float],
) -> bool:
    """Log the step, look at the format and keep a checkpoint if it is time; true at the end."""
    if check.world.is_main:
        log(metrics, progress.step)
    if progress.step in plan.check_steps():
        rate = check.rate(trainer.model_wrapped)
        if check.world.is_main:
            log({"train/format_rate": rate}, progress.step)
        progress.is_finished = rate >= plan.settings.min_format_rate
    progress.is_finished |= progress.step == plan.num_steps
    saves.keep(trainer.model, trainer.optimizer, progress)
    return progress.is_finished


def _start(base: Path, settings: SftParams, device: str) -> tuple[Any, Any, Any]:
    """Model, processor and optimizer."""
    model, processor = load_policy(base, device, settings.train_vision)
    bound_images(processor, settings.min_pixels, settings.max_pixels)
    return model, processor, _optimizer(model, settings)


def _save(model: Any, base: Path, output: Path, settings: SftParams, world: World) -> None:
    bounds = (settings.min_pixels, settings.max_pixels)
    save_policy(model, base, output, world.is_main, bounds)


def own_rows(batch_size: int, world: World) -> int:
    """Rows of a batch that each process trains on.

    Raises ValueError where they cannot have equally many.
    """
    if batch_size % world.size:
        raise ValueError(
            f"sft.batch_size ({batch_size}) must be a multiple of the number of processes, "
            f"{world.size}; change one of them (runtime.launcher)"
        )
    return batch_size // world.size


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


def _optimizer(model: Any, settings: SftParams) -> Any:
    betas = (settings.adam_beta1, settings.adam_beta2)
    return build_optimizer(model, settings.lr, settings.weight_decay, betas)


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
    end, special = processor.tokenizer.eos_token, special_tokens(processor.tokenizer)
    return Dataset.from_dict(
        {
            "images": [[example.image] for example in examples],
            "prompt": [
                render_prompt(processor, example.question, 1, system) for example in examples
            ],
            "completion": [f"{as_data(example.completion, special)}{end}" for example in examples],
        }
    )


def _arguments(
    settings: SftParams, runtime: RuntimeParams, own: int, max_steps: int, seed: int, folder: Path
) -> SFTConfig:
    micro_batch = micro_rows(own, runtime.micro_batch)
    return SFTConfig(
        **trainer_arguments(runtime, "sft", seed, folder),
        max_steps=max_steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=own // micro_batch,
        learning_rate=settings.lr,
        max_grad_norm=settings.max_grad_norm,
        completion_only_loss=True,
        max_length=None,
    )
