"""Stage 2 put together: start model, stream, sampler, trainer, checkpoints, trained model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from trl import GRPOConfig

from finer1.chat import stop_ids, suppressed_ids
from finer1.draws import derive_seed
from finer1.model_params import RuntimeParams, TapoParams
from finer1.policy.checkpoints import load_checkpoint, save_checkpoint
from finer1.policy.folder import copy_policy, load_policy, pick_device, save_policy
from finer1.policy.generation import SamplingRule
from finer1.policy.optimizer import build_optimizer, schedule_from, warm_up
from finer1.records import Triplet
from finer1.tapo.progress import TapoProgress
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler, sample_rows
from finer1.tapo.sampling import Kept
from finer1.tapo.stream import PromptStream
from finer1.tapo.trainer import StepEnd, TapoTrainer

SAMPLE_STEPS = 10
"""Steps between tables of sample rollouts."""
SAMPLE_GROUPS = 3
"""Groups shown in such a table."""

Log = Callable[[Mapping[str, float], int], None]
LogSamples = Callable[[str, Sequence[Mapping[str, object]]], None]


def train_tapo(
    start: Path,
    triplets: Sequence[Triplet],
    read_image: Callable[[str], Image.Image],
    labels: Mapping[str, Sequence[str]],
    settings: TapoParams,
    runtime: RuntimeParams,
    system: str,
    seed: int,
    output: Path,
    resume: Path,
    log: Log,
    log_samples: LogSamples,
) -> dict[str, float]:
    """Train the model folder `start` into `output`; metrics of the run.

    read_image: the RGB image of an id. labels: category -> its sub-categories. resume: scratch
    folder; a call with the folder of a killed one continues it and ends with the same weights.
    Raises ValueError for settings that cannot work, RuntimeError when no group survived.
    """
    check_settings(settings)
    if settings.steps == 0:
        copy_policy(start, output)
        return {"train/steps": 0}
    model, processor = load_policy(start, runtime.device, settings.train_vision)
    betas = (settings.adam_beta1, settings.adam_beta2)
    optimizer = build_optimizer(model, settings.lr, settings.weight_decay, betas)
    checkpoints = resume / "checkpoints"
    progress = TapoProgress(**(load_checkpoint(checkpoints, model, optimizer) or {}))
    patch = processor.image_processor.patch_size
    stream = PromptStream(triplets, read_image, labels, settings, patch, seed)
    sampler = build_sampler(model, processor, stream, system, runtime.batch_size)

    def on_step_end(kept: Kept[RolloutGroup], metrics: dict[str, float]) -> None:
        log(metrics, progress.step)
        if progress.step % SAMPLE_STEPS == 1 or progress.step == settings.steps:
            rows = sample_rows(kept.sampled[:SAMPLE_GROUPS], settings.anchor_rollouts)
            log_samples(f"rollouts/step-{progress.step:05d}", rows)
        if progress.step % runtime.save_steps == 0:
            save_checkpoint(checkpoints, progress.step, model, optimizer, asdict(progress))

    if progress.step < settings.steps:
        build_trainer(sampler, progress, on_step_end, optimizer, runtime, resume).train()
    _check_survivors(progress, settings)
    save_policy(model, start, output)
    return progress.summary()


def build_sampler(
    model: Any, processor: Any, stream: PromptStream, system: str, batch_size: int
) -> RolloutSampler:
    """The sampler of the stream's settings; `batch_size` completions at once."""
    rule = SamplingRule(
        temperature=stream.settings.temperature,
        top_p=stream.settings.top_p,
        max_tokens=stream.settings.max_completion_tokens,
        stop_ids=stop_ids(model.generation_config),
        suppressed_ids=suppressed_ids(model.config, processor.tokenizer),
    )
    return RolloutSampler(model, processor, stream, stream.settings, rule, system, batch_size)


def check_settings(settings: TapoParams) -> None:
    """Raise ValueError for settings that contradict each other."""
    if settings.anchor_rollouts + settings.positive_rollouts < 2:
        raise ValueError(
            "tapo.anchor_rollouts + tapo.positive_rollouts must be at least 2: advantages compare "
            "the rollouts of a group"
        )
    if settings.prompts_per_step % settings.minibatches:
        raise ValueError(
            f"tapo.minibatches ({settings.minibatches}) must divide tapo.prompts_per_step "
            f"({settings.prompts_per_step})"
        )
    if settings.keep_low >= settings.keep_high:
        raise ValueError(
            f"tapo.keep_low ({settings.keep_low}) must be below tapo.keep_high "
            f"({settings.keep_high})"
        )


def _check_survivors(progress: TapoProgress, settings: TapoParams) -> None:
    if progress.survivors or settings.keep_when_all_degenerate:
        return
    rate = progress.summary()["reward/accuracy"]
    raise RuntimeError(
        f"no group survived in any of the {progress.step} steps: within each group the answers "
        f"were all right or all wrong (mean accuracy {rate:.4f}), so nothing could be learnt. "
        "Near 0: train stage 1 longer (sft.epochs) or take more rollouts "
        "(tapo.anchor_rollouts, tapo.positive_rollouts). Near 1: there is nothing left to learn"
    )


def build_trainer(
    sampler: RolloutSampler,
    progress: TapoProgress,
    on_step_end: StepEnd,
    optimizer: Any,
    runtime: RuntimeParams,
    folder: Path,
) -> TapoTrainer:
    """The trainer that takes `progress` to the last step; `folder` is scratch."""
    settings, done = sampler.settings, progress.step * sampler.settings.minibatches
    scheduler = schedule_from(
        optimizer, lambda step: warm_up(step, settings.warmup_steps), first_step=done
    )
    # The loop needs a dataset of one rollout batch; prompts come from the stream (see there).
    placeholder = Dataset.from_dict({"prompt": [""] * settings.prompts_per_step})
    return TapoTrainer(
        sampler=sampler,
        progress=progress,
        on_step_end=on_step_end,
        micro_batch=runtime.micro_batch,
        args=_arguments(settings, runtime, sampler.stream.seed, done, folder),
        train_dataset=placeholder,
        optimizers=(optimizer, scheduler),
    )


def _arguments(
    settings: TapoParams, runtime: RuntimeParams, seed: int, done: int, folder: Path
) -> GRPOConfig:
    size = settings.anchor_rollouts + settings.positive_rollouts
    on_gpu = pick_device(runtime.device) == "cuda"
    return GRPOConfig(
        output_dir=str(folder / "trainer"),
        max_steps=settings.steps * settings.minibatches - done,
        num_generations=size,
        per_device_train_batch_size=size * settings.prompts_per_step // settings.minibatches,
        steps_per_generation=settings.minibatches,
        max_completion_length=settings.max_completion_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        learning_rate=settings.lr,
        max_grad_norm=settings.max_grad_norm,
        epsilon=settings.clip_low,
        epsilon_high=settings.clip_high,
        beta=0.0,
        loss_type="dapo",
        seed=derive_seed(seed, "tapo trainer"),
        bf16=on_gpu,
        use_cpu=not on_gpu,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
