import os
from pathlib import Path

import pytest

from finer1.params import load_params
from tasks.shards import engine_shards
from tasks.stage import settle_libraries


@pytest.fixture
def runtime(repository):
    return load_params(repository / "params.yaml").runtime


def test_one_shard_is_this_process(runtime):
    assert engine_shards(runtime, "transformers", 1) is None


@pytest.mark.parametrize(
    ("engine", "gpus"), [("transformers", 1), ("vllm", 4), ("vllm:models/teacher", 4)]
)
def test_vllm_takes_as_many_gpus_as_hold_a_model(runtime, engine, gpus, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FINER1_API_KEY", "secret")
    shards = engine_shards(runtime.model_copy(update={"shards": 2}), engine, 4)
    assert (shards.number, shards.gpus, shards.address) == (2, gpus, None)
    assert shards.variables["HF_HUB_OFFLINE"] == "1"
    assert shards.variables["PYTHONPATH"].split(os.pathsep)[0] == os.getcwd()
    assert shards.folder == Path.cwd()
    assert "secret" not in shards.variables.values()


def test_a_cluster_is_joined_where_its_address_is_set_and_no_other(runtime, monkeypatch):
    two = runtime.model_copy(update={"shards": 2})
    monkeypatch.setattr("os.environ", {})
    settle_libraries(0, is_online=False)
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"  # loopback alone
    assert engine_shards(two, "vllm", 1).address is None
    monkeypatch.setattr("os.environ", {"RAY_ADDRESS": "10.0.0.1:6379"})
    settle_libraries(0, is_online=False)
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert engine_shards(two, "vllm", 1).address == "10.0.0.1:6379"
