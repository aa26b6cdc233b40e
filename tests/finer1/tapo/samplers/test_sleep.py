"""Memory between rollouts, on a GPU."""

import pytest
import torch

from finer1.policy.folder import load_policy
from finer1.policy.generation import SamplingRule
from finer1.tapo.samplers.served import ServedEngine

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("level", [1, 2])
def test_a_sleeping_vllm_frees_memory_and_wakes_with_the_policys_weights(
    level, vllm_ready, world_base, params, ask, system
):
    from finer1.serving.colocated import ColocatedModel

    settings = params.runtime.vllm.model_copy(update={"memory_share": 0.1, "sleep_level": level})
    engine = ServedEngine(ColocatedModel(world_base, "cuda", settings), system)
    model, _ = load_policy(world_base, "cuda", train_vision=True)
    requests = ask(("0-0", range(3)))
    rule = SamplingRule(1.0, 1.0, 20, (), ())
    engine.sync(model)
    before = engine.sample(requests, rule)
    awake = torch.cuda.mem_get_info()[0]
    engine.sleep()
    free = torch.cuda.mem_get_info()[0] - awake
    assert free > 0.05 * torch.cuda.mem_get_info()[1]  # most of the tenth that it had
    engine.sync(model)
    after = engine.sample(requests, rule)
    assert [c.token_ids for c in after[0]] == [c.token_ids for c in before[0]]
