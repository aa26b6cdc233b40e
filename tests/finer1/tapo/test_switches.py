"""Where paper and released code differ: what each setting does, in numbers worked by hand.

`answer_match` and `format_rule` have theirs in test_rewards.py.
"""

import math
from dataclasses import replace

import pytest
import torch

from finer1.policy.folder import load_policy
from finer1.policy.processes import ALONE
from finer1.tapo.losses import tapo_loss
from finer1.tapo.phases import PhaseClock
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.sampling import KeepCounts, collect_groups
from finer1.tapo.settings import check_settings
from finer1.tapo.shares import share_out
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler
from finer1.tapo.updates import build_updates

SMALL = {"max_completion_tokens": 3, "augment": True}  # anchor and positive differ
PLAIN = {"entropy_coef": 0.0, "negative_entropy_coef": 0.0, "inter_class_coef": 0.5}


def one_token(settings, ratio, advantage, negative):
    """Loss of one token with log pi = -1 and its gradient under the negative."""
    negative = torch.tensor([[negative]], requires_grad=True)
    loss, _ = tapo_loss(
        torch.tensor([[-1.0]]),
        torch.tensor([[-1.0 - math.log(ratio)]]),
        negative,
        torch.tensor([advantage]),
        torch.tensor([[True]]),
        1,
        settings,
    )
    gradient = None
    if loss.requires_grad:
        (gradient,) = torch.autograd.grad(loss, negative)
    return loss.item(), gradient


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # A = -1, ratio 5: -A r is 5; the dual clip stops at -A x 3.
        ({"clip_dual": None}, 5.0),
        ({"clip_dual": 3.0}, 3.0),
    ],
)
def test_clip_dual(settings, changes, expected):
    changed = settings.model_copy(update=PLAIN | {"inter_class_coef": 0.0} | changes)
    assert one_token(changed, 5.0, -1.0, -1.0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # log pi_neg = -2: d = -1, and -0.5 (e^-1 + 1 - 1); or d = 1, and -0.5 (e - 1 - 1).
        ({"kl_ratio": "neg_over_pos"}, -0.18394),
        ({"kl_ratio": "pos_over_neg"}, -0.35914),
    ],
)
def test_kl_ratio(settings, changes, expected):
    changed = settings.model_copy(update=PLAIN | changes)
    assert one_token(changed, 1.0, 0.0, -2.0)[0] == pytest.approx(expected, abs=1e-5)


def test_negative_gradient(settings):
    # d = -1: -0.5 (e^-1 - 1) - 0.2 = 0.31606 - 0.2. The loss is the same with and without.
    both = settings.model_copy(update=PLAIN | {"negative_entropy_coef": 0.2})
    loss, gradient = one_token(both, 1.0, 0.0, -2.0)
    assert gradient.item() == pytest.approx(0.11606, abs=1e-5)
    detached = both.model_copy(update={"negative_gradient": False})
    assert one_token(detached, 1.0, 0.0, -2.0) == (loss, None)


def collect(settings, survivors, **changes):
    """Groups 0, 1, ... of which `survivors` are mixed, 4 per step; the outcome, sizes asked for."""
    asked = []

    def sample(num_groups):
        first = sum(asked)
        asked.append(num_groups)
        return list(range(first, first + num_groups))

    kept = collect_groups(
        sample,
        lambda number: (0.0, 1.0) if number in survivors else (0.0, 0.0),
        KeepCounts(),
        settings.model_copy(update={"prompts_per_step": 4, "oversample_margin": 1.0} | changes),
    )
    return kept, asked


def test_keep_when_all_degenerate(settings):
    # 4 sampled, none mixed. Then 4 / (1 / 6) is more than two batches, so 8: 9 is mixed.
    dropped, asked = collect(settings, {9}, max_resamples=1)
    assert (dropped.groups, asked) == ([9], [4, 8])
    kept, asked = collect(settings, {9}, max_resamples=1, keep_when_all_degenerate=True)
    assert (kept.groups, asked, kept.num_survivors) == ([0, 1, 2, 3], [4], 0)


def test_each_batch_sampled_at_once_is_kept_or_dropped_for_itself(settings):
    # Of 0 to 3 one is mixed. Then 3 / (2 / 6) = 9, so 4 to 11: none is mixed, all are kept.
    kept, asked = collect(settings, {1}, keep_when_all_degenerate=True)
    assert (kept.groups, asked) == ([1, 4, 5, 6], [4, 8])


def test_max_resamples(settings):
    # One group in 50 is mixed: 4 + 2 x 8 sampled in two refills hold none, without limit all 4.
    mixed = {49, 99, 149, 199}
    assert collect(settings, mixed, max_resamples=2)[0].groups == []
    unlimited, _ = collect(settings, mixed, max_resamples=None)
    assert unlimited.groups == sorted(mixed)
    assert unlimited.num_refills == 25  # 4 + 25 x 8 = 204 groups


def test_no_limit_of_refills_needs_a_way_out(settings):
    endless = settings.model_copy(update={"max_resamples": None})
    with pytest.raises(ValueError, match=r"tapo\.max_resamples: null needs"):
        check_settings(endless)
    check_settings(endless.model_copy(update={"keep_when_all_degenerate": True}))


@pytest.fixture(scope="module")
def policy(tiny_model):
    return load_policy(tiny_model, "cpu", train_vision=False)


@pytest.fixture
def one_update(policy, triplets, picture, settings):
    """The groups of prompts 0 and 1, what the engine was asked for, and their micro-batch."""

    def make(**changes):
        changed = settings.model_copy(update=SMALL | {"minibatches": 1} | changes)
        model, processor = policy
        stream = PromptStream(triplets, picture, {"bird": ("a", "b")}, changed, 8, seed=0)
        engine = Recording(model, processor.tokenizer.pad_token_id, 100)
        sampler = build_sampler(model, processor, stream, "", 8, engine)
        groups = sampler.sample([0, 1])
        clock = PhaseClock(model.device)
        shares = share_out(groups, changed, 100, ALONE)
        (update,) = build_updates(model, processor, shares, changed, "", "packed", clock)
        (batch,) = update.micro_batches
        return groups, engine.requests, batch

    return make


class Recording(LocalEngine):
    """Notes what it is asked for."""

    def sample(self, requests, rule):
        self.requests = [(request.image, request.places) for request in requests]
        return super().sample(requests, rule)


def test_update_image(one_update):
    # Two groups of one anchor and two positive rollouts: prompts A0 A1, or A0 P0 A1 P1.
    ratio = {"anchor_rollouts": 1, "positive_rollouts": 2}
    groups, _, batch = one_update(update_image="anchor", **ratio)
    assert batch.conditions.owners.tolist() == [0, 0, 0, 1, 1, 1]
    assert is_prompts(batch.conditions, [group.anchor for group in groups])
    groups, _, batch = one_update(update_image="own", **ratio)
    assert batch.conditions.owners.tolist() == [0, 1, 1, 2, 3, 3]
    pairs = [(group.anchor, group.positive) for group in groups]
    assert is_prompts(batch.conditions, [prompt for pair in pairs for prompt in pair])
    assert not groups[0].anchor.pixel_values.equal(groups[0].positive.pixel_values)


@pytest.mark.parametrize("ratio", [(10, 0), (8, 2), (5, 5), (2, 8), (0, 10)])
def test_any_ratio_is_sampled_under_both_and_trained_under_the_anchor(one_update, ratio):
    n1, n2 = ratio
    groups, requests, batch = one_update(anchor_rollouts=n1, positive_rollouts=n2)
    expected = []
    for group in groups:
        expected += [(group.prompt.anchor, range(n1))] if n1 else []
        expected += [(group.prompt.positive, range(n1, 10))] if n2 else []
    assert requests == expected
    assert batch.conditions.owners.tolist() == [0] * 10 + [1] * 10
    assert is_prompts(batch.conditions, [group.anchor for group in groups])


def is_prompts(conditions, prompts):
    pairs = zip(conditions.prompts.images, prompts, strict=True)
    return all(image.pixel_values.equal(prompt.pixel_values) for image, prompt in pairs)


@pytest.fixture
def options(triplets, picture, settings):
    """What 200 prompts of five seen sub-categories ask: options per prompt, None if open."""
    rows = [replace(triplets[0], anchor=name, label=name, negative_label="a") for name in "bcde"]

    def ask(**changes):
        changed = settings.model_copy(update=changes)
        stream = PromptStream([triplets[0], *rows], picture, {"bird": "abcde"}, changed, 8, seed=0)
        asked = []
        for number in range(200):
            prompt = stream.prompt(number)
            _, closed, names = prompt.question.partition("\nOptions: ")
            asked.append((prompt, tuple(names.rstrip(".").split("; ")) if closed else None))
        return asked

    return ask


def test_open_questions_have_no_options(options):
    assert all(names is None for _, names in options(question="open"))


def test_closed_questions_have_options_with_truth_and_nearest(options):
    for prompt, names in options(question="closed", num_options=4):
        assert len(names) == len(set(names)) == 4
        assert {prompt.label, prompt.negative_label} <= set(names) <= set("abcde")


def test_the_truth_stands_in_every_place(options):
    places = [names.index(prompt.label) for prompt, names in options(question="closed")]
    assert all(30 < places.count(place) < 70 for place in range(4))  # 50 of 200 expected


def test_where_there_are_fewer_sub_categories_all_are_options(options):
    assert {len(names) for _, names in options(question="closed", num_options=9)} == {5}


def test_mixed_questions_are_half_closed(options):
    asked = options(question="mixed")
    assert 70 < sum(names is not None for _, names in asked) < 130
    # Nothing else of a prompt depends on it.
    for (mixed, _), (plain, _) in zip(asked, options(question="open"), strict=True):
        assert mixed.question.startswith(plain.question)
        assert mixed.negative.tobytes() == plain.negative.tobytes()
