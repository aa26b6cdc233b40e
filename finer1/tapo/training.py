"""Stage 2 put together: start model, stream, sampler, trainer, checkpoints, trained model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from trl import GRPOConfig

from finer1.chat import stop_ids, suppressed_ids
from finer1.draws import derive_seed
from finer1.model_params import RuntimeParams, TapoParams
from finer1.policy.adapters import add_adapters
from finer1.policy.checkpoints import Checkpoint
from finer1.policy.families.interface import patch_size
from finer1.policy.folder import copy_policy, load_policy, save_policy
from finer1.policy.generation import SamplingRule
from finer1.policy.optimizer import build_optimizer, schedule_from
from finer1.policy.processes import ALONE, World, join_world
from finer1.policy.saves import Saves
from finer1.policy.schedules import warm_up
from finer1.policy.trainer_arguments import trainer_arguments
from finer1.progress import Progress
from finer1.records import Triplet
from finer1.tapo.display import Display, Outlets
from finer1.tapo.phases import PhaseClock
from finer1.tapo.progress import TapoProgress
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler
from finer1.tapo.samplers.interface import RolloutEngine
from finer1.tapo.samplers.start import start_engine
from finer1.tapo.sampling import Kept
from finer1.tapo.settings import check_settings
from finer1.tapo.stream import PromptStream
from finer1.tapo.trainer import StepEnd, TapoTrainer


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
    outlets: Outlets,
    vllm_server: str | None = None,
) -> dict[str, float]:
    """Train the model folder `start` into `output`; metrics of the run.

    read_image: the RGB image of an id. labels: category -> its sub-categories. resume: scratch
    folder; a call with the folder of a killed one continues it and ends with the same weights.
    vllm_server: address, for `runtime.engine: vllm_server`.
    Of several processes, each calls it; one writes and logs.
    Raises ValueError for settings that cannot work, RuntimeError when no group survived.
    """
    check_settings(settings)
    world = join_world(runtime.device)
    if settings.steps == 0:
        if world.is_main:
            copy_policy(start, output)
        return {"train/steps": 0}
    model, processor = load_policy(start, runtime.device, settings.train_vision)
    _adapt(model, settings, seed)
    optimizer = _optimizer(model, settings)
    saves = Saves(resume / "checkpoints", runtime.save_steps, world)
    checkpoint = saves.newest()
    progress = TapoProgress(**checkpoint.state) if checkpoint else TapoProgress()
    stream = PromptStream(triplets, read_image, labels, settings, patch_size(model), seed)
    engine = start_engine(model, processor, start, system, runtime, vllm_server, resume, world)
    sampler = build_sampler(model, processor, stream, system, runtime.batch_size, engine)
    line = Progress("tapo", settings.steps, "steps", progress.step, outlets.is_live)
    display = Display(sampler, runtime, line, outlets)
    show = _shower(display, progress, world)
    if progress.step < settings.steps:
        build_trainer(
            sampler, progress, show, optimizer, runtime, resume, world, checkpoint, saves
        ).train()
    elif checkpoint is not None:  # killed between its last checkpoint and its end
        checkpoint.load_weights(model)
    _check_survivors(progress, settings)
    save_policy(model, start, output, world.is_main)
    return progress.summary()


def _shower(display: Display, progress: TapoProgress, world: World) -> StepEnd:
    def show(kept: Kept[RolloutGroup], metrics: dict[str, float]) -> None:
        if world.is_main:
            display.show(kept, metrics, progress.step)

    return show


def _adapt(model: Any, settings: TapoParams, seed: int) -> None:
    """Give the model adapters, unless its weights themselves are to be trained."""
    if settings.lora_rank > 0:
        add_adapters(
            model,
            settings.lora_rank,
            settings.lora_alpha,
            settings.lora_targets,
            settings.train_vision,
            derive_seed(seed, "tapo adapters"),
        )


def _optimizer(model: Any, settings: TapoParams) -> Any:
    betas = (settings.adam_beta1, settings.adam_beta2)
    return build_optimizer(model, settings.lr, settings.weight_decay, betas)


def build_sampler(
    model: Any,
    processor: Any,
    stream: PromptStream,
    system: str,
    batch_size: int,
    engine: RolloutEngine,
) -> RolloutSampler:
    """The sampler of the stream's settings; `batch_size` images are encoded at once."""
    rule = SamplingRule(
        temperature=stream.settings.temperature,
        top_p=stream.settings.top_p,
        max_tokens=stream.settings.max_completion_tokens,
        stop_ids=stop_ids(model.generation_config),
        suppressed_ids=suppressed_ids(model.config, processor.tokenizer),
    )
    clock = PhaseClock(model.device)
    return RolloutSampler(
        model, processor, stream, stream.settings, rule, system, batch_size, clock, engine
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
    world: World = ALONE,
    checkpoint: Checkpoint | None = None,
    saves: Saves | None = None,
) -> TapoTrainer:
    """The trainer that takes `progress`, that of `checkpoint`, to the last step.

    folder: scratch.
    """
    settings, done = sampler.settings, progress.step * sampler.settings.minibatches
    scheduler = schedule_from(
        optimizer, lambda step: warm_up(step, settings.warmup_steps), first_step=done
    )
    # The loop needs a dataset of one rollout batch; prompts come from the stream (see there).
    placeholder = Dataset.from_dict({"prompt": [""] * settings.prompts_per_step * world.size})
    return TapoTrainer(
        sampler=sampler,
        progress=progress,
        checkpoint=checkpoint,
        world=world,
        on_step_end=on_step_end,
        saves=saves,
        micro_batch=runtime.micro_batch,
        forward=runtime.forward,
        guards=runtime.guards,
        args=_arguments(settings, runtime, sampler.stream.seed, done, folder),
        train_dataset=placeholder,
        optimizers=(optimizer, scheduler),
    )


def _arguments(
    settings: TapoParams, runtime: RuntimeParams, seed: int, done: int, folder: Path
) -> GRPOConfig:
    size = settings.anchor_rollouts + settings.positive_rollouts
    return GRPOConfig(
        **trainer_arguments(runtime, "tapo", seed, folder),
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
    )
