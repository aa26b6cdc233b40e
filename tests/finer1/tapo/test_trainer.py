"""Without positives, inter-class term and entropies, TAPO is DAPO: TRL's own loss says so."""

from dataclasses import replace

import pytest
import torch
from trl import GRPOTrainer

from finer1.policy.folder import load_policy
from finer1.policy.optimizer import build_optimizer
from finer1.policy.processes import ALONE
from finer1.tapo.progress import TapoProgress
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.shares import share_out
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler, build_trainer
from finer1.tapo.updates import build_updates

DAPO = {
    "prompts_per_step": 2,
    "minibatches": 1,
    "anchor_rollouts": 3,
    "positive_rollouts": 0,
    "inter_class_coef": 0.0,
    "entropy_coef": 0.0,
    "negative_entropy_coef": 0.0,
    "temperature": 1.5,
    "max_completion_tokens": 30,
}


@pytest.fixture
def build(talking_model, triplets, picture, params, tmp_path):
    """A DAPO trainer with changed settings that has not begun."""

    def make(progress, **changes):
        settings = params.tapo.model_copy(update=DAPO | changes)
        model, processor = load_policy(talking_model, "cpu", train_vision=False)
        stream = PromptStream(triplets, picture, {"bird": ("a", "b")}, settings, 8, seed=0)
        engine = LocalEngine(model, processor.tokenizer.pad_token_id, batch_size=8)
        sampler = build_sampler(model, processor, stream, "", 8, engine)
        optimizer = build_optimizer(model, 1e-3, 0.0, (0.9, 0.999))
        built = build_trainer(
            sampler, progress, lambda kept, metrics: None, optimizer, params.runtime, tmp_path
        )
        built.current_gradient_accumulation_steps = 1
        built.model.train()
        return built

    return make


@pytest.fixture
def trainer(build):
    """A DAPO trainer that has not begun."""
    return build(TapoProgress())


def trl_inputs(groups, batch, advantages):
    """The same rollouts as TRL lays them out: prompt and image repeated for each."""
    rows = [group.anchor for group in groups for _ in group.completions]
    owners = batch.conditions.owners
    prompt_ids = batch.conditions.prompts.token_ids[owners]
    mask = batch.conditions.prompts.mask[owners]
    grids = torch.stack([row.grid for row in rows])
    is_image = prompt_ids == 262  # <|image_pad|> of the tiny tokenizer
    return {
        "prompt_ids": prompt_ids,
        "prompt_mask": mask.long(),
        "completion_ids": batch.completion_ids,
        "completion_mask": batch.completion_mask.long(),
        "advantages": advantages,
        "num_items_in_batch": batch.completion_mask.sum(),
        "pixel_values": torch.cat([row.pixel_values for row in rows]),
        "image_grid_thw": grids,
        "num_images": [1] * len(rows),
        "mm_token_type_ids": torch.cat(
            [is_image.int(), torch.zeros_like(batch.completion_ids).int()], dim=1
        ),
    }


def gradient(trainer, loss):
    trainer.model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}


def test_without_its_own_terms_tapo_is_dapo(trainer):
    sampler = trainer._sampler
    groups = sampler.sample([0, 1])
    (update,) = build_updates(
        trainer.model,
        sampler.processor,
        share_out(groups, sampler.settings, 100, ALONE),
        sampler.settings,
        sampler.system,
        "packed",
        trainer.clock,
    )
    (batch,) = update.micro_batches
    assert batch.negatives is None  # no term needs the negative, so it is never run
    # Any advantages will do, as long as both have the same; mixed rewards are not certain here.
    batch.advantages = torch.linspace(-1, 1, 6)
    ours = trainer._compute_loss(trainer.model, (batch, update.num_tokens))
    ours_gradient = gradient(trainer, ours)
    theirs = GRPOTrainer._compute_loss(
        trainer, trainer.model, trl_inputs(groups, batch, batch.advantages)
    )
    theirs_gradient = gradient(trainer, theirs)
    # Float32 rounding of two ways through the model (shared prefix, fused head).
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert ours_gradient.keys() == theirs_gradient.keys()
    for name, value in ours_gradient.items():
        torch.testing.assert_close(value, theirs_gradient[name], rtol=1e-3, atol=1e-5, msg=name)
    assert max(value.abs().max() for value in ours_gradient.values()) > 1e-3


def test_rollouts_do_not_depend_on_what_is_sampled_at_once(trainer):
    sampler = trainer._sampler
    pad_id = sampler.processor.tokenizer.pad_token_id
    alone, together = (
        replace(sampler, engine=LocalEngine(sampler.model, pad_id, size)).sample(range(4))
        for size in (1, 100)
    )
    assert [group.completions for group in alone] == [group.completions for group in together]
    assert len({str(group.completions) for group in alone}) == 4
    assert sampler.sample([2])[0].completions == alone[2].completions


def test_a_group_heard_of_makes_its_inputs_anew(trainer):
    sampler = trainer._sampler
    (own,) = sampler.sample([1])
    heard = sampler.hear(own.outcome)
    assert heard.completions == own.completions
    assert heard.prompt.anchor.tobytes() == own.prompt.anchor.tobytes()
    assert heard.anchor.token_ids.equal(own.anchor.token_ids)
    assert heard.anchor.pixel_values.equal(own.anchor.pixel_values)
    own.forget_inputs()
    assert own.anchor.pixel_values.equal(heard.anchor.pixel_values)


def test_an_update_without_groups_is_no_good_one(build):
    progress = TapoProgress(skipped=2, skipped_in_a_row=2)
    # Three rollouts have no mean accuracy between 0.98 and 0.99.
    build(progress, steps=1, keep_low=0.98, max_resamples=0).train()
    assert progress.history[0]["train/updates"] == 0
    assert (progress.skipped, progress.skipped_in_a_row) == (2, 2)


def test_a_process_may_have_nothing_to_sample(trainer):
    assert trainer._sampler.sample([]) == []
