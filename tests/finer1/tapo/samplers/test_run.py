"""Whole TAPO runs of the world's base model with rollouts by vLLM."""

import gc

import pytest
import torch
from safetensors.torch import load_file

from finer1.policy.folder import load_policy
from finer1.policy.optimizer import build_optimizer
from finer1.policy.processes import ALONE
from finer1.tapo import trainer as trainer_module
from finer1.tapo.display import Outlets
from finer1.tapo.progress import TapoProgress
from finer1.tapo.samplers.start import start_engine
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler, build_trainer, train_tapo
from finer1.world.taxonomies import load_taxonomy

ROUNDING = 1e-4
CHANGES = {
    "steps": 4,
    "prompts_per_step": 4,
    "minibatches": 2,
    "anchor_rollouts": 4,
    "positive_rollouts": 4,
    "max_completion_tokens": 40,
    "max_resamples": 2,
    "lr": 1e-3,
    "warmup_steps": 0,
    "train_vision": True,
}
LABELS = {"bird": tuple(species.name for species in load_taxonomy("embedded").by_category["bird"])}

pytestmark = pytest.mark.slow


@pytest.fixture
def system():
    """None: the base model has seen none."""
    return ""


@pytest.fixture
def settings(params):
    return params.tapo.model_copy(update=CHANGES)


@pytest.fixture
def run(world_base, triplets, picture, params, settings, system, tmp_path):
    """Train with an engine; metrics, the log of each step, the folder."""

    def train(engine, name, server=None):
        logs = {}
        metrics = train_tapo(
            start=world_base,
            triplets=triplets,
            read_image=picture,
            labels=LABELS,
            settings=settings,
            runtime=params.runtime.model_copy(update={"engine": engine}),
            system=system,
            seed=0,
            output=tmp_path / name / "model",
            resume=tmp_path / name / "resume",
            outlets=Outlets(
                log=lambda values, step: logs.update({step: dict(values)}),
                log_table=lambda title, rows: None,
                log_image=lambda title, image, step: None,
                is_live=False,
            ),
            vllm_server=server,
        )
        gc.collect()  # an abandoned vLLM would take the process groups of the next with it
        return metrics, logs, tmp_path / name

    return train


class Watched:
    """An engine; at each sampling, how far its log-probabilities are from those of a model."""

    def __init__(self, inner, score, model, start):
        self.number_format = inner.number_format
        self.inner, self.score, self.model, self.start = inner, score, model, start
        self.gaps, self.drifts = [], []

    def sync(self, model):
        self.inner.sync(model)

    def sleep(self):
        self.inner.sleep()

    def sample(self, requests, rule):
        sampled = self.inner.sample(requests, rule)
        for model, gaps in ((self.model, self.gaps), (self.start, self.drifts)):
            gaps.append(
                max(
                    (torch.tensor(completion.logprobs) - own).abs().max().item()
                    for request, completions in zip(requests, sampled, strict=True)
                    for completion, own in zip(
                        completions, self.score(model, request, completions), strict=True
                    )
                )
            )
        return sampled


@pytest.fixture
def watched(
    vllm_ready, world_base, triplets, picture, params, settings, system, score_by, tmp_path
):
    """Several steps with vLLM in this process, watched; the engine and the groups trained on."""
    model, processor = load_policy(world_base, "cpu", train_vision=True)
    start, _ = load_policy(world_base, "cpu", train_vision=True)
    runtime = params.runtime.model_copy(update={"engine": "vllm"})
    engine = start_engine(model, processor, world_base, system, runtime, None, tmp_path, ALONE)
    spy = Watched(engine, score_by, model, start)
    stream = PromptStream(triplets, picture, LABELS, settings, 8, seed=0)
    sampler = build_sampler(model, processor, stream, system, 32, spy)
    optimizer = build_optimizer(model, settings.lr, 0.0, (0.9, 0.999))
    groups = []

    def on_step_end(kept, metrics):
        groups.append(list(kept.groups))

    build_trainer(sampler, TapoProgress(), on_step_end, optimizer, runtime, tmp_path).train()
    yield spy, groups
    del engine, sampler, spy.inner
    gc.collect()


def test_at_every_step_vllm_samples_from_the_policy_as_it_is_then(watched):
    engine, groups = watched
    assert len(groups) == CHANGES["steps"]
    assert max(engine.gaps) < ROUNDING
    # Those of the start model, for comparison: equal before the first update, not after it.
    assert engine.drifts[0] < ROUNDING
    assert engine.drifts[-1] > 0.1


def test_rollouts_of_positive_images_are_trained_on(run, vllm_ready, monkeypatch):
    seen = []
    inner = trainer_module.tapo_loss

    def record(logprobs, old, negative, advantages, mask, *rest):
        loss, metrics = inner(logprobs, old, negative, advantages, mask, *rest)
        (gradient,) = torch.autograd.grad(loss, logprobs, retain_graph=True)
        rows = (gradient * mask).abs().sum(dim=-1)
        seen.extend((rows > 0).view(-1, 8).tolist())
        return loss, metrics

    monkeypatch.setattr(trainer_module, "tapo_loss", record)
    run("vllm", "a")
    assert seen
    assert all(all(row) for row in seen)  # four anchor and four positive rollouts of each group


@pytest.mark.parametrize("engine", ["vllm", "vllm_server"])
def test_a_run_passes_its_guards_and_tells_its_times(engine, run, vllm_server):
    metrics, logs, folder = run(engine, "a", vllm_server)
    assert metrics["train/groups"] > 0
    assert logs[1]["check/logprob_gap"] < ROUNDING
    assert logs[2]["check/logprob_gap"] < ROUNDING  # after an update
    assert logs[1]["check/vision_gap"] < ROUNDING
    assert all(log["time/sync_s"] > 0 and log["time/generate_s"] > 0 for log in logs.values())
    assert load_file(folder / "model" / "model.safetensors")


def test_same_seed_gives_the_same_weights(run, vllm_ready):
    first, second = (run("vllm", name) for name in "ab")
    files = [folder / "model" / "model.safetensors" for _, _, folder in (first, second)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert first[0] == second[0]
