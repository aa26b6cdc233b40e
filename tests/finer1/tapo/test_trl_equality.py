"""Without positives, inter-class term and entropies, TAPO is TRL's own DAPO, weights and all.

Both run from the same start on the same replayed rollouts: 2 rollout steps of 2 updates each, so
that in every second one the ratio differs from 1. TRL divides the loss of an update by the mean
number of tokens of the updates of a rollout step, we by its own number (the mean over its tokens),
so the replayed updates have equally many.
"""

from dataclasses import replace

import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as Picture
from trl import GRPOConfig, GRPOTrainer

from finer1.policy.encoding import encode_prompts
from finer1.policy.folder import load_policy
from finer1.policy.optimizer import build_optimizer, schedule_from
from finer1.tapo.progress import TapoProgress
from finer1.tapo.rewards import Reward
from finer1.tapo.rollouts import Outcome, RolloutGroup
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler, build_trainer

STEPS, PROMPTS, UPDATES, ROLLOUTS = 2, 4, 2, 4
LENGTHS = ((12, 9, 7, 4), (3, 11, 8, 10), (5, 9, 12, 6), (12, 12, 7, 1))
"""Completion tokens: 32 in each group."""
REWARDS = ((1.0, 0.1, 0.0, 0.9), (0.9, 0.1, 0.1, 0.1), (0.0, 1.0, 1.0, 0.9), (0.0, 0.9, 0.1, 1.0))
SIZES = ((32, 32), (48, 32), (64, 48), (32, 64))
LR, EPS = 1e-3, 1e-4
DAPO = {
    "steps": STEPS,
    "prompts_per_step": PROMPTS,
    "minibatches": UPDATES,
    "anchor_rollouts": ROLLOUTS,
    "positive_rollouts": 0,
    "max_resamples": 0,
    "inter_class_coef": 0.0,
    "entropy_coef": 0.0,
    "negative_entropy_coef": 0.0,
    "clip_dual": None,
    "clip_low": 0.01,  # so narrow that both bounds bite
    "clip_high": 0.014,
    "advantage_eps": EPS,  # of TRL
    "temperature": 1.5,
    "max_completion_tokens": 12,
    "lr": LR,
    "warmup_steps": 0,
    "train_vision": True,
}


class Replay:
    """A sampler that gives recorded groups."""

    def __init__(self, sampler, groups):
        self._sampler, self._groups = sampler, groups

    def __getattr__(self, name):
        return getattr(self._sampler, name)

    def sample(self, numbers):
        return [self._groups[number] for number in numbers]


class ReplayingTrl(GRPOTrainer):
    """TRL's trainer with recorded completions in place of generated ones."""

    def _generate_single_turn(self, prompt_ids, images, multimodal_fields, num_generations):
        first = self.state.global_step // UPDATES * PROMPTS
        groups = self.recorded[first : first + PROMPTS]
        for row, ids in enumerate(prompt_ids):
            assert list(ids) == groups[row // ROLLOUTS].anchor.token_ids.tolist()
        return [tokens for group in groups for tokens in group.completions], None


@pytest.fixture
def settings(params):
    return params.tapo.model_copy(update=DAPO)


def recorded_groups(model, processor, stream):
    """Groups of random tokens, lengths and images; rewards that never agree within a group."""
    generator = torch.Generator().manual_seed(0)
    groups = []
    for number in range(STEPS * PROMPTS):
        prompt = replace(stream.prompt(number), anchor=drawn(number))
        (anchor,) = encode_prompts(model, processor, [prompt.question], [prompt.anchor], "")
        row = number % PROMPTS
        completions = [
            torch.randint(256, (length,), generator=generator).tolist() for length in LENGTHS[row]
        ]
        rewards = [
            Reward(total, float(total > 0.5), 0.0, True, True, True, False)
            for total in REWARDS[(row + number // PROMPTS) % PROMPTS]
        ]
        outcome = Outcome(number, completions, [], [""] * ROLLOUTS, rewards)
        groups.append(RolloutGroup(outcome, None, prompt, anchor))
    return groups


def drawn(number):
    colours = (37 * number % 256, 91 * number % 256, 200 - 9 * number)
    image = Picture.new("RGB", SIZES[number % PROMPTS], colours)
    image.paste((250, 20, 120), (4, 4, 20, 12 + number))
    return image


def our_run(sampler, groups, optimizer, params, folder):
    progress = TapoProgress()
    trainer = build_trainer(
        Replay(sampler, groups),
        progress,
        lambda kept, metrics: None,
        optimizer,
        params.runtime.model_copy(update={"device": "cpu", "guards": False}),  # a replay
        folder,
    )
    trainer.train()
    return sampler.model.state_dict(), progress


def trl_run(model, processor, groups, optimizer, settings, folder, monkeypatch):
    # TRL would scatter the groups of a rollout step over its updates.
    processor.tokenizer.padding_side = "left"  # as Qwen's own; TRL relies on it
    monkeypatch.setattr("trl.trainer.grpo_trainer.shuffle_sequence_dict", lambda batch: batch)
    rows = [
        {
            "prompt": [{"role": "user", "content": group.prompt.question}],
            "image": group.prompt.anchor,
            "rewards": [reward.total for reward in group.rewards],
        }
        for group in groups
    ]

    def reward(completions, rewards, **kwargs):
        return [rewards[i][i % ROLLOUTS] for i in range(len(completions))]

    trainer = ReplayingTrl(
        model=model,
        processing_class=processor,
        reward_funcs=reward,
        args=trl_arguments(settings, folder),
        train_dataset=Dataset.from_list(rows).cast_column("image", Image()),
        optimizers=(optimizer, schedule_from(optimizer, lambda step: 1.0, first_step=0)),
    )
    trainer.recorded = groups
    trainer.train()
    return model.state_dict()


def trl_arguments(settings, folder):
    return GRPOConfig(
        output_dir=str(folder),
        loss_type="dapo",
        max_steps=STEPS * UPDATES,
        num_generations=ROLLOUTS,
        per_device_train_batch_size=ROLLOUTS * PROMPTS // UPDATES,
        steps_per_generation=UPDATES,
        gradient_accumulation_steps=1,
        shuffle_dataset=False,
        max_completion_length=settings.max_completion_tokens,
        temperature=settings.temperature,
        epsilon=settings.clip_low,
        epsilon_high=settings.clip_high,
        beta=0.0,
        learning_rate=LR,
        max_grad_norm=settings.max_grad_norm,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def test_the_weights_after_four_updates_are_those_of_trl(
    tiny_model, triplets, picture, params, settings, tmp_path, monkeypatch
):
    model, processor = load_policy(tiny_model, "cpu", train_vision=True)
    theirs_model, _ = load_policy(tiny_model, "cpu", train_vision=True)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    stream = PromptStream(triplets, picture, {"bird": ("a", "b")}, settings, 8, seed=0)
    engine = LocalEngine(model, processor.tokenizer.pad_token_id, batch_size=8)
    sampler = build_sampler(model, processor, stream, "", 8, engine)
    groups = recorded_groups(model, processor, stream)
    optimizers = [
        build_optimizer(m, LR, settings.weight_decay, (0.9, 0.999)) for m in (model, theirs_model)
    ]
    ours, progress = our_run(sampler, groups, optimizers[0], params, tmp_path / "ours")
    theirs = trl_run(
        theirs_model, processor, groups, optimizers[1], settings, tmp_path / "trl", monkeypatch
    )
    assert any(step["loss/clip_low_fraction"] > 0 for step in progress.history)
    assert any(step["loss/clip_high_fraction"] > 0 for step in progress.history)
    assert ours.keys() == theirs.keys()
    moved = {name: value - start[name] for name, value in ours.items()}
    apart = {name: value - theirs[name] for name, value in ours.items()}
    # Two ways through the model, packed and repeated rows: roundings of 1e-7, which AdamW enlarges
    # where a gradient is hardly larger. Each weight has moved by about four learning rates.
    assert all(value.abs().max() > 2 * LR for value in moved.values())
    assert norm(apart) < 3e-5 * norm(moved)
    assert max(value.abs().max() for value in apart.values()) < 1e-2 * LR


def norm(tensors):
    return torch.stack([value.norm() for value in tensors.values()]).norm()
