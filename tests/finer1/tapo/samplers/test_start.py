import pytest

from finer1.params import load_params
from finer1.policy.processes import ALONE
from finer1.tapo.samplers.start import start_engine


def test_rollouts_of_a_model_over_several_gpus_are_a_servers(repository, tmp_path):
    runtime = load_params(repository / "params.yaml").runtime
    vllm = runtime.vllm.model_copy(update={"tensor_parallel": 2})
    runtime = runtime.model_copy(update={"engine": "vllm", "vllm": vllm})
    with pytest.raises(ValueError, match=r"tensor_parallel is 2, .* engine to vllm_server"):
        start_engine(None, None, tmp_path, "", runtime, None, tmp_path, ALONE)
