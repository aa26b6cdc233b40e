"""The policy as its own sampler."""

from dataclasses import replace

from finer1.tapo.samplers.local import LocalEngine


def tokens(sampled):
    return [[completion.token_ids for completion in completions] for completions in sampled]


def test_rollouts_depend_on_seed_and_place_alone(ask, policy, rule):
    requests = ask(("0-0", range(3)), ("0-1", range(3, 6)), ("1-0", range(2)))
    pad_id = policy[1].tokenizer.pad_token_id
    together = tokens(LocalEngine(policy[0], pad_id, batch_size=100).sample(requests, rule))
    assert [len(rows) for rows in together] == [3, 3, 2]
    # Four at once: the last two requests share a batch no more, since they have five.
    assert tokens(LocalEngine(policy[0], pad_id, batch_size=4).sample(requests, rule)) == together
    (first,) = ask(("0-0", range(1, 3)))
    (alone,) = tokens(LocalEngine(policy[0], pad_id, batch_size=100).sample([first], rule))
    assert alone == together[0][1:]


def test_logprobs_are_the_policys_at_temperature_1(ask, policy, rule, score):
    (request,) = ask(("0-0", range(3)))
    hot = replace(rule, temperature=1.7, top_p=0.9)
    engine = LocalEngine(policy[0], policy[1].tokenizer.pad_token_id, batch_size=8)
    (sampled,) = engine.sample([request], hot)
    for completion, own in zip(sampled, score(request, sampled), strict=True):
        gaps = [abs(a - b) for a, b in zip(completion.logprobs, own.tolist(), strict=True)]
        assert max(gaps) < 1e-4  # rounding of two ways through the model
