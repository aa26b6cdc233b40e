"""The guard against stale image features, with vLLM itself made to keep them."""

import pytest

from finer1.policy.folder import load_policy
from finer1.policy.processes import ALONE
from finer1.tapo.guards import SamplerGuard
from finer1.tapo.samplers.start import start_engine
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler

SMALL = {"anchor_rollouts": 2, "positive_rollouts": 2, "max_completion_tokens": 8}

pytestmark = pytest.mark.slow


def test_vllm_that_keeps_its_encoder_cache_ends_the_run(
    vllm_ready, world_base, triplets, picture, params, system, tmp_path, monkeypatch
):
    settings = params.tapo.model_copy(update=SMALL)
    model, processor = load_policy(world_base, "cpu", train_vision=True)
    runtime = params.runtime.model_copy(update={"engine": "vllm"})
    engine = start_engine(model, processor, world_base, system, runtime, None, tmp_path, ALONE)
    labels = {"bird": tuple(triplet.label for triplet in triplets)}
    stream = PromptStream(triplets, picture, labels, settings, 8, seed=0)
    sampler = build_sampler(model.eval(), processor, stream, system, 8, engine)

    def check():
        engine.sync(model)
        guard = SamplerGuard(sampler, "packed", "float32", is_on=True)
        return guard.check(model, sampler.sample([0]))

    assert check()["check/vision_gap"] < 1e-4
    llm = engine._served._llm
    runners = llm.collective_rpc(lambda worker: worker.model_runner)
    monkeypatch.setattr(type(runners[0]), "reset_encoder_cache", lambda self: None)
    monkeypatch.setattr(llm.llm_engine, "reset_encoder_cache", lambda: None)
    with pytest.raises(RuntimeError, match="image features from before"):
        check()
