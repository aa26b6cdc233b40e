"""What both forwards give: one call, right log-probabilities, zeros on padding."""

import copy

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from trl.trainer.utils import add_fused_lm_head

FORWARDS = ("packed", "plain")
forwards = pytest.mark.parametrize("forward", FORWARDS)


def whole_sequence(scene, branch, row):
    """Log-probabilities of one completion by transformers' own forward of it alone."""
    prompt = branch.prompts.images[branch.owners[row]]
    tokens = scene.ids[row, scene.mask[row]]
    ids = torch.cat([prompt.token_ids, tokens])
    is_image = (ids == scene.model.config.image_token_id).int()
    output = scene.model(
        input_ids=ids[None],
        mm_token_type_ids=is_image[None],
        pixel_values=prompt.pixel_values,
        image_grid_thw=prompt.grid[None],
    )
    logits = output.logits[0, -len(tokens) - 1 : -1] / scene.temperature
    return logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


@forwards
def test_logprobs_equal_those_of_the_whole_sequence(make_scene, forward):
    scene = make_scene()
    for branch, scored in zip(scene.branches, scene.score(forward), strict=True):
        for row, logprobs in enumerate(scored):
            want = whole_sequence(scene, branch, row)
            # Float32 rounding: sums run in another order.
            torch.testing.assert_close(logprobs[scene.mask[row]], want, rtol=0, atol=1e-5)


@forwards
def test_gradients_equal_those_of_the_whole_sequence(make_scene, forward):
    scene = make_scene()
    weight = scene.model.model.language_model.layers[0].self_attn.k_proj.weight
    (got,) = torch.autograd.grad(sum(part.sum() for part in scene.score(forward)), weight)
    rows = ((branch, row) for branch in scene.branches for row in range(len(scene.ids)))
    total = sum(whole_sequence(scene, *row).sum() for row in rows)
    (want,) = torch.autograd.grad(total, weight)
    assert (got - want).norm() < 1e-5 * want.norm()


@forwards
def test_padding_changes_nothing_and_gets_zero(make_scene, forward):
    scene = make_scene()
    want = scene.score(forward)
    scene.ids = torch.nn.functional.pad(scene.ids, (0, 30), value=5)
    scene.mask = torch.nn.functional.pad(scene.mask, (0, 30))
    for got, before in zip(scene.score(forward), want, strict=True):
        torch.testing.assert_close(got[:, :-30], before, rtol=0, atol=1e-6)
        assert got[~scene.mask].eq(0).all()


@forwards
def test_temperature_divides_the_logits(make_scene, forward):
    scene = make_scene()
    scene.temperature = 1e6
    # Almost equal logits: every token has probability 1 / V.
    flat = -torch.tensor(scene.model.config.text_config.vocab_size).log()
    torch.testing.assert_close(
        scene.score(forward)[0][scene.mask], flat.expand(scene.mask.sum()), rtol=0, atol=1e-4
    )


@forwards
def test_each_branch_is_scored_as_if_alone(make_scene, forward):
    scene = make_scene()
    together = scene.score(forward)
    alone = [scene.score(forward, [branch])[0] for branch in scene.branches]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@forwards
def test_completions_without_tokens_give_zeros_with_a_gradient_of_zero(make_scene, forward):
    scene = make_scene(owners=(0, 1), lengths=(0, 0))
    scored, gradients = scene.gradients(forward)
    assert all(logprobs.eq(0).all() for logprobs in scored)
    assert gradients
    assert all(gradient.eq(0).all() for gradient in gradients.values())


@forwards
def test_one_call_goes_through_a_distributed_wrapper(make_scene, assert_same, tmp_path, forward):
    scene = make_scene()
    want = scene.gradients(forward)
    distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(scene.model)
        calls = []
        wrapped.register_forward_hook(lambda *args: calls.append(args))
        assert_same(scene.gradients(forward, model=wrapped), want)
    finally:
        distributed.destroy_process_group()
    assert len(calls) == 1


@forwards
@pytest.mark.parametrize("is_trl_first", [True, False])
def test_grpo_trainers_head_and_ours_leave_each_other_alone(make_scene, forward, is_trl_first):
    scene = make_scene()
    want = scene.score(forward)
    scene = make_scene()
    if is_trl_first:
        add_fused_lm_head(scene.model, temperature=7.0, outputs=("log_probs", "entropy"))
    torch.testing.assert_close(scene.score(forward), want, rtol=0, atol=1e-6)
    if not is_trl_first:
        add_fused_lm_head(scene.model, temperature=7.0, outputs=("log_probs", "entropy"))
    ids = torch.arange(10)[None]
    theirs = scene.model(input_ids=ids, labels=ids, fused_lm_head=True)
    logits = scene.model(input_ids=ids).logits / 7.0
    expected = logits.log_softmax(-1)[0, :-1].gather(-1, ids[0, 1:, None]).squeeze(-1)
    torch.testing.assert_close(theirs.log_probs[0], expected, rtol=0, atol=1e-5)
    assert theirs.entropy is not None
    torch.testing.assert_close(scene.score(forward), want, rtol=0, atol=1e-6)


@forwards
def test_a_copy_of_the_model_uses_its_own_weights(make_scene, forward):
    scene = make_scene()
    before = scene.score(forward)[0]
    twin = copy.deepcopy(scene.model)
    ids = torch.arange(10)[None]
    logits = scene.model(input_ids=ids).logits
    with torch.no_grad():
        for parameter in scene.model.parameters():
            parameter.zero_()
    torch.testing.assert_close(scene.score(forward, model=twin)[0], before, rtol=0, atol=0)
    assert torch.equal(twin(input_ids=ids).logits, logits)
