"""vLLM, where it is installed: in the tests' process, and as a server."""

import importlib.util
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest
import torch

OPTIONS = (
    *("--dtype", "float32", "--generation-config", "vllm"),
    *("--enforce-eager", "--no-enable-chunked-prefill"),
    *("--limit-mm-per-prompt", '{"image": 1, "video": 0}'),
    *("--worker-extension-cls", "finer1.serving.worker.WeightReceiver"),
    *("--kv-cache-memory-bytes", str(2**28), "--middleware", "finer1.gate.Gate"),
)
START_S = 1200


@pytest.fixture(scope="session")
def vllm_ready():
    """Skips without vLLM; else the environment that a stage gives it."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm is not installed; setup/README.md, extras, says how")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        patch.setenv("VLLM_NO_USAGE_STATS", "1")
        patch.setenv("VLLM_LOGGING_LEVEL", "ERROR")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(torch, "set_num_threads", torch.set_num_threads)  # vLLM replaces it
        yield


@pytest.fixture(scope="session")
def world_base(repository):
    """Folder of the base model of the drawn world; vLLM takes no heads as small as tiny_model's."""
    return repository / "models" / "base" / "world"


@pytest.fixture(scope="session")
def vllm_server(vllm_ready, world_base, repository, tmp_path_factory):
    """Address of a vLLM server with the world's base model, started for the tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm_server") / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", *OPTIONS),
                *("--model", str(world_base), "--host", "127.0.0.1", "--port", str(port)),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=os.environ
            | {"VLLM_SERVER_DEV_MODE": "1", "PYTHONPATH": str(repository)}
            # vLLM's own small compilations take 20 s and a C++ compiler.
            | {"TORCHDYNAMO_DISABLE": "1"},
        )
    try:
        _await(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def _await(server, url, log):
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    pytest.fail(f"the vLLM server did not start:\n{log.read_text()[-3000:]}")
