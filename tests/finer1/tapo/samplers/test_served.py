"""vLLM as a sampler of rollouts: its log-probabilities are the policy's, whatever the weights."""

from dataclasses import replace
from itertools import chain

import pytest
import torch

from finer1.policy.processes import World
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.samplers.served import ServedEngine, SharedModel

GROUP = ("0-0", range(3)), ("0-1", range(3, 6))  # anchor and positive rollouts
ROUNDING = 1e-4
"""Of log-probabilities in float32 by two implementations; about 5e-6 was seen."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def colocated(vllm_ready, world_base, params):
    from finer1.serving.colocated import ColocatedModel

    return ColocatedModel(world_base, "cpu", params.runtime.vllm)


@pytest.fixture(scope="module")
def remote(vllm_server, tmp_path_factory):
    from finer1.serving.server import ServerModel

    served = ServerModel(vllm_server, tmp_path_factory.mktemp("weights"), sleep_level=1)
    return SharedModel(served, World())


@pytest.fixture(params=["colocated", "remote"])
def engine(request, policy, system):
    """Each of the two, with the policy's weights."""
    built = ServedEngine(request.getfixturevalue(request.param), system)
    built.sync(policy[0])
    return built


def gap(request, completions, score):
    """Largest difference between the sampler's log-probabilities and the policy's own."""
    pairs = zip(completions, score(request, completions), strict=True)
    return max((torch.tensor(c.logprobs) - own).abs().max().item() for c, own in pairs)


def tokens(sampled):
    return [completion.token_ids for completion in chain.from_iterable(sampled)]


def disturb(parameters, size):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in parameters:
            parameter += size * torch.randn(parameter.shape, generator=generator)


def test_its_logprobs_are_those_of_the_policy_under_the_image_that_was_sampled(
    engine, ask, rule, score
):
    requests = ask(*GROUP)
    anchors, positives = engine.sample(requests, rule)
    assert len(anchors) == len(positives) == 3
    assert gap(requests[0], anchors, score) < ROUNDING
    assert gap(requests[1], positives, score) < ROUNDING
    assert gap(requests[0], positives, score) > 0.1  # another image: not the anchor's


def test_a_temperature_and_a_nucleus_leave_the_logprobs_as_they_are(engine, ask, rule, score):
    (request,) = ask(GROUP[0])
    (sampled,) = engine.sample([request], replace(rule, temperature=1.5, top_p=0.8))
    assert gap(request, sampled, score) < ROUNDING


def test_same_seed_gives_the_same_samples_whatever_is_beside_them(engine, ask, rule):
    requests = ask(*GROUP, ("1-0", range(4)))
    together = tokens(engine.sample(requests, rule))
    assert tokens(engine.sample(requests, rule)) == together
    assert tokens(engine.sample(requests[1:2], rule)) == together[3:6]
    assert len({str(row) for row in together}) > 3


def test_samples_and_logprobs_follow_the_weights(engine, ask, rule, score, policy):
    requests = ask(*GROUP)
    before = engine.sample(requests, rule)
    disturb(policy[0].parameters(), 0.02)
    old_gap = gap(requests[0], before[0], score)
    engine.sync(policy[0])
    requests = ask(*GROUP)
    after = engine.sample(requests, rule)
    assert old_gap > 0.1
    assert tokens(after) != tokens(before)
    for request, completions in zip(requests, after, strict=True):
        assert gap(request, completions, score) < ROUNDING


def test_an_image_seen_before_gets_the_features_of_the_new_tower(engine, ask, rule, score, policy):
    requests = ask(*GROUP)
    stale = engine.sample(requests, rule)
    disturb(policy[0].model.visual.parameters(), 0.05)  # the language model stays
    engine.sync(policy[0])
    requests = ask(*GROUP)
    assert gap(requests[0], stale[0], score) > 0.1
    for request, completions in zip(requests, engine.sample(requests, rule), strict=True):
        assert gap(request, completions, score) < ROUNDING


def test_greedy_completions_are_those_of_the_policy(engine, ask, rule, policy):
    greedy = replace(rule, temperature=0)
    requests = ask(*((f"{i}-{k}", range(1)) for i in range(4) for k in range(2)))
    local = LocalEngine(policy[0], policy[1].tokenizer.pad_token_id, batch_size=4)
    expected = tokens(local.sample(requests, greedy))
    assert tokens(engine.sample(requests, greedy)) == expected


def test_a_completion_ends_with_the_first_stop_token(engine, ask, rule):
    requests = ask(("0-0", range(1)))
    free = replace(rule, temperature=0, stop_ids=(), max_tokens=12)
    (row,) = tokens(engine.sample(requests, free))
    assert len(row) == 12
    (ended,) = tokens(engine.sample(requests, replace(free, stop_ids=(row[5],))))
    assert ended == row[: row.index(row[5]) + 1]


def test_a_completion_is_cut_at_its_longest(engine, ask, rule):
    (request,) = ask(GROUP[0])
    cut = tokens(engine.sample([request], replace(rule, max_tokens=2)))
    assert [len(row) for row in cut] == [2, 2, 2]


def test_suppressed_tokens_are_never_drawn(engine, ask, rule):
    (request,) = ask(("0-0", range(1)))
    greedy = replace(rule, temperature=0)
    ((first, *_),) = tokens(engine.sample([request], greedy))
    suppressed = replace(greedy, suppressed_ids=(*rule.suppressed_ids, first))
    assert first not in tokens(engine.sample([request], suppressed))[0]


def test_a_prompt_read_otherwise_is_an_error(engine, ask, rule):
    (request,) = ask(GROUP[0])
    other = replace(request, question="What is it?")
    with pytest.raises(ValueError, match="vLLM reads .* prompt tokens where the policy reads"):
        engine.sample([other], rule)


def test_adapters_are_sampled_with(engine, ask, rule, score, policy):
    from finer1.policy.adapters import add_adapters

    model = policy[0]
    add_adapters(model, 4, 8.0, ["q_proj", "down_proj"], in_vision=True, seed=0)
    model.eval()
    disturb((p for name, p in model.named_parameters() if "lora_B" in name), 0.1)
    engine.sync(model)
    (request,) = ask(GROUP[0])
    (sampled,) = engine.sample([request], rule)
    assert gap(request, sampled, score) < ROUNDING
    disturb((p for name, p in model.named_parameters() if "lora_B" in name), 0.1)
    assert gap(request, sampled, score) > 0.01  # the adapters do matter
