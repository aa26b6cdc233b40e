"""Each guard against what it is there for, broken on purpose."""

import itertools
from dataclasses import replace

import pytest
import torch

from finer1.policy import encoding
from finer1.policy.encoding import image_features
from finer1.policy.folder import load_policy
from finer1.policy.generation import Completion
from finer1.policy.optimizer import build_optimizer
from finer1.tapo.guards import SamplerGuard
from finer1.tapo.progress import TapoProgress
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler, build_trainer

IMAGE = 262
"""<|image_pad|> of the tiny tokenizer."""
SIZES = {"anchor_rollouts": 2, "positive_rollouts": 1, "max_completion_tokens": 4}


@pytest.fixture
def build(tiny_model, triplets, picture, params):
    """A sampler with an engine of that kind, and its guard."""

    def make(engine_kind=LocalEngine, train_vision=False, **changes):
        settings = params.tapo.model_copy(update=SIZES | changes)
        model, processor = load_policy(tiny_model, "cpu", train_vision)
        model.eval()
        stream = PromptStream(triplets, picture, {"bird": ("a", "b")}, settings, 8, seed=0)
        engine = engine_kind(model, processor.tokenizer.pad_token_id, 8)
        sampler = build_sampler(model, processor, stream, "", 8, engine)
        return sampler, SamplerGuard(sampler, "packed", "float32", is_on=True)

    return make


def check(sampler, guard, numbers=(0, 1)):
    return guard.check(sampler.model, sampler.sample(numbers))


def test_switched_off_nothing_is_compared(build):
    sampler, _ = build(DoubledImage)
    guard = SamplerGuard(sampler, "packed", "float32", is_on=False)
    assert check(sampler, guard) == {}


@pytest.mark.parametrize("ratio", [(2, 1), (0, 3), (3, 0)])
@pytest.mark.parametrize("train_vision", [False, True])
def test_a_sound_sampler_passes_and_its_weights_stay(build, train_vision, ratio):
    n1, n2 = ratio
    sampler, guard = build(
        train_vision=train_vision, anchor_rollouts=n1, positive_rollouts=n2, temperature=1.5
    )
    before = {name: value.clone() for name, value in sampler.model.state_dict().items()}
    measured = check(sampler, guard)
    # Two ways through the model in float32, some roundings of 1e-7 apart.
    assert measured["check/logprob_gap"] < 1e-5
    assert measured["check/image_effect"] > 1e-3
    assert ("check/vision_gap" in measured) == train_vision
    assert all(value.equal(before[name]) for name, value in sampler.model.state_dict().items())


def test_log_probabilities_are_compared_in_the_first_two_steps(build):
    sampler, guard = build()
    assert [sorted(check(sampler, guard)) for _ in range(3)] == [
        ["check/image_effect", "check/logprob_gap"],
        ["check/logprob_gap"],
        [],
    ]


class DoubledImage(LocalEngine):
    """Reads each image token twice, as vLLM does when it is given expanded ones."""

    def sample(self, requests, rule):
        return super().sample([replace(r, prompt=self._double(r.prompt)) for r in requests], rule)

    def _double(self, prompt):
        counts = 1 + (prompt.token_ids == IMAGE).long()
        token_ids = prompt.token_ids.repeat_interleave(counts)
        return replace(
            prompt,
            token_ids=token_ids,
            positions=torch.arange(len(token_ids)).expand(3, -1),
            features=prompt.features.repeat(2, 1),
        )


class Tempered(LocalEngine):
    """Returns log-probabilities at another temperature."""

    def sample(self, requests, rule):
        sampled = super().sample(requests, rule)
        return [[Completion(c.token_ids, [x / 2 for x in c.logprobs]) for c in g] for g in sampled]


class AnchorForAll(LocalEngine):
    """Samples positive rollouts under the anchor, as TRL's server mode does."""

    def sample(self, requests, rule):
        anchor = requests[0]
        return super().sample([replace(r, prompt=anchor.prompt) for r in requests], rule)


@pytest.mark.parametrize("engine", [DoubledImage, Tempered, AnchorForAll])
def test_a_sampler_that_sees_something_else_ends_the_run(build, engine):
    sampler, guard = build(engine, augment=True)  # anchor and positive differ
    with pytest.raises(RuntimeError, match=r"sampler and trainer .* runtime\.engine"):
        check(sampler, guard)


def test_stale_weights_of_the_sampler_end_the_run(build):
    class Stale(LocalEngine):
        def sync(self, model):
            """Keeps the first weights."""

    sampler, guard = build(Stale)
    check(sampler, guard)
    trained, _ = build()
    with torch.no_grad():
        for parameter in trained.model.parameters():
            parameter.add_(0.1 * parameter.abs().mean())
    sampler.engine.sync(trained.model)
    with pytest.raises(RuntimeError, match="sampler and trainer"):
        guard.check(trained.model, sampler.sample([2]))


def test_lost_pixels_end_the_run(build, monkeypatch):
    def blank(model, pixels, grids):
        return tuple(torch.zeros_like(part) for part in image_features(model, pixels, grids))

    monkeypatch.setattr(encoding, "image_features", blank)
    sampler, guard = build()
    with pytest.raises(RuntimeError, match="the pixels do not reach the model"):
        check(sampler, guard)


class CachedVision(LocalEngine):
    """Encodes an image once and for all, as vLLM does without a reset of its encoder cache."""

    def __init__(self, *args):
        super().__init__(*args)
        self._seen = {}

    def sample(self, requests, rule):
        return super().sample([replace(r, prompt=self._cached(r.prompt)) for r in requests], rule)

    def _cached(self, prompt):
        key = prompt.pixel_values.numpy().tobytes()
        if key not in self._seen:
            with torch.no_grad():
                (self._seen[key],) = image_features(
                    self._model, [prompt.pixel_values], prompt.grid.unsqueeze(0)
                )
        return replace(prompt, features=self._seen[key])


def test_a_stale_vision_cache_ends_the_run(build):
    sampler, guard = build(CachedVision, train_vision=True)
    before = sampler.model.model.visual.merger.mlp[-1].weight.clone()
    with pytest.raises(RuntimeError, match="image features from before; reset its encoder cache"):
        check(sampler, guard)
    assert sampler.model.model.visual.merger.mlp[-1].weight.equal(before)


def test_a_vision_cache_that_is_emptied_with_each_sync_passes(build):
    class Emptied(CachedVision):
        def sync(self, model):
            self._seen.clear()

    assert check(*build(Emptied, train_vision=True))["check/vision_gap"] < 1e-5


class Float32(LocalEngine):
    """Computes without autocast, as an engine of its own does."""

    def sample(self, requests, rule):
        with torch.autocast("cpu", enabled=False):
            return super().sample(requests, rule)


@pytest.mark.parametrize("engine", [LocalEngine, Float32])
def test_under_autocast_a_change_of_the_vision_tower_reaches_the_trainer(build, engine):
    # Autocast keeps trained weights in bfloat16 until it ends, and the checks run within one.
    sampler, _ = build(engine, train_vision=True)
    guard = SamplerGuard(sampler, "packed", "bfloat16", is_on=True)
    with torch.autocast("cpu", torch.bfloat16):
        measured = check(sampler, guard)
        again = check(sampler, SamplerGuard(sampler, "packed", "bfloat16", is_on=True))
    assert measured["check/vision_gap"] < 0.01
    assert again == measured  # the restored weights have reached it, too


def test_an_engine_that_rounds_coarsely_is_told_from_one_with_stale_features(build):
    def coarse(engine):
        class Coarse(engine):
            """Off by 0.05 nats, up and down: more than any limit for equal images."""

            def sample(self, requests, rule):
                errors = itertools.cycle((0.05, -0.05))
                return [
                    [Completion(c.token_ids, [x + next(errors) for x in c.logprobs]) for c in group]
                    for group in super().sample(requests, rule)
                ]

        sampler, guard = build(Coarse, train_vision=True)
        with torch.no_grad():  # fresh weights give about equal probabilities whatever is shown
            for parameter in sampler.model.model.language_model.layers.parameters():
                parameter.mul_(5 if parameter.ndim == 2 else 1)
            sampler.model.model.visual.merger.mlp[-1].weight.mul_(5)
        return lambda: guard._check_vision(sampler.model, sampler.sample([0])[0])

    assert coarse(LocalEngine)() == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(RuntimeError, match=r"features from before.*runtime\.guards: false"):
        coarse(CachedVision)()


def test_a_vision_cache_does_no_harm_while_the_tower_is_frozen(build):
    assert "check/vision_gap" not in check(*build(CachedVision))


def test_an_image_token_in_a_completion_ends_the_run(build):
    class Writes(LocalEngine):
        def sample(self, requests, rule):
            groups = super().sample(requests, rule)
            groups[-1][0].token_ids[-1] = IMAGE
            return groups

    sampler, guard = build(Writes)
    with pytest.raises(RuntimeError, match=r"rollout 2 of prompt 1 holds the image token.*\[262\]"):
        check(sampler, guard)


def test_a_prompt_with_doubled_image_tokens_ends_the_run(build, monkeypatch):
    sampler, guard = build()
    groups = sampler.sample([0])
    groups[0]._anchor = DoubledImage(sampler.model, 0, 8)._double(groups[0].anchor)
    monkeypatch.setattr(guard, "_check_gap", lambda model, group: 0.0)
    with pytest.raises(RuntimeError, match="a prompt has .* image tokens for"):
        guard.check(sampler.model, groups)


def test_the_tolerance_follows_the_shorter_number_format(build):
    class Short(Tempered):
        number_format = "bfloat16"

        def __init__(self, *args):
            super().__init__(*args)
            self.number_format = "bfloat16"

        def sample(self, requests, rule):
            """Off by 0.01 nats: rounding in bfloat16, an error in float32."""
            sampled = LocalEngine.sample(self, requests, rule)
            return [
                [Completion(c.token_ids, [x + 0.01 for x in c.logprobs]) for c in g]
                for g in sampled
            ]

    sampler, guard = build(Short)
    assert check(sampler, guard)["check/logprob_gap"] == pytest.approx(0.01, rel=1e-3)
    sampler.engine.number_format = "float32"
    with pytest.raises(RuntimeError, match=r"differ by 0\.01 .*0\.0001 in float32"):
        check(sampler, SamplerGuard(sampler, "packed", "float32", is_on=True))


@pytest.fixture
def train(build, params, tmp_path):
    """Train one step with an engine of that kind; the metrics that are logged."""

    def run(engine_kind=LocalEngine, **changes):
        sampler, _ = build(
            engine_kind, steps=1, max_resamples=0, keep_when_all_degenerate=True, **changes
        )
        logged = []
        build_trainer(
            sampler,
            TapoProgress(),
            lambda kept, metrics: logged.append(metrics),
            build_optimizer(sampler.model, 1e-3, 0.0, (0.9, 0.999)),
            params.runtime,
            tmp_path,
        ).train()
        return logged[0]

    return run


def test_the_trainer_logs_what_the_guards_measured_and_reported(train):
    metrics = train()
    assert metrics["check/logprob_gap"] < 1e-5
    assert metrics["check/image_effect"] > 1e-3
    assert metrics["guard/reward_collapse"] == 0


def test_the_trainer_stops_before_the_first_update(train):
    with pytest.raises(RuntimeError, match="sampler and trainer"):
        train(DoubledImage)
