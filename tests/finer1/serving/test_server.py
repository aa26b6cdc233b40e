"""A server must have been started as it must be, and is awake when it has new weights."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import load_file

from finer1.serving.server import ServerModel

MODEL = {
    "served_model_name": "policy",
    "dtype": "torch.bfloat16",
    "enable_sleep_mode": False,
    "logprobs_mode": "raw_logprobs",
}
EXTENDED = {"worker_extension_cls": "finer1.serving.worker.WeightReceiver"}


@pytest.fixture
def posted():
    """What was posted to the server, in order."""
    return []


@pytest.fixture
def address(posted):
    """Address of a server that describes itself as told and takes whatever is posted."""
    servers = []

    def start(config):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if config:
                    self.answer(200, {"vllm_config": config})
                else:
                    self.answer(404, {"detail": "Not Found"})

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                posted.append(self.path.removeprefix("/"))
                self.answer(200, {"success": True})

            def answer(self, status, value):
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("given", [None, "", "127.0.0.1:8000"])
def test_it_needs_an_address(given, tmp_path):
    with pytest.raises(ValueError, match="set FINER1_VLLM_SERVER"):
        ServerModel(given, tmp_path, sleep_level=1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "refuses the request with 404"),
        (
            {"model_config": MODEL, "parallel_config": {"worker_extension_cls": ""}},
            "lacks --worker-extension-cls",
        ),
        (
            {
                "model_config": MODEL | {"logprobs_mode": "processed_logprobs"},
                "parallel_config": EXTENDED,
            },
            "must be raw_logprobs",
        ),
    ],
)
def test_a_server_started_otherwise_is_refused(address, config, message, tmp_path):
    with pytest.raises(ValueError, match=f"setup/README.md says.*{message}"):
        ServerModel(address(config), tmp_path, sleep_level=1)


def test_it_takes_the_servers_number_format(address, tmp_path):
    config = {"model_config": MODEL, "parallel_config": EXTENDED}
    assert ServerModel(address(config), tmp_path, sleep_level=1).number_format == "bfloat16"


def test_a_proxy_of_the_environment_is_not_asked(address, tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody is there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    config = {"model_config": MODEL, "parallel_config": EXTENDED}
    assert ServerModel(address(config), tmp_path, sleep_level=1).number_format == "bfloat16"


GIVEN = ["collective_rpc", "reset_encoder_cache", "reset_prefix_cache"]
WOKEN = ["wake_up?tags=weights", GIVEN[0], "wake_up?tags=kv_cache", *GIVEN[1:]]


@pytest.mark.parametrize(
    ("can_sleep", "level", "expected"),
    [
        (True, 1, [*WOKEN, "sleep?level=1"]),
        (True, 2, [*WOKEN, "sleep?level=2"]),
        (True, 0, WOKEN),  # a trainer may have left it asleep, whatever this user wants
        (False, 1, GIVEN),
    ],
)
def test_a_server_that_can_sleep_is_woken_around_the_new_weights(
    address, posted, can_sleep, level, expected, tmp_path
):
    config = {
        "model_config": MODEL | {"enable_sleep_mode": can_sleep},
        "parallel_config": EXTENDED,
    }
    served = ServerModel(address(config), tmp_path, sleep_level=level)
    served.load([("head", torch.tensor([1.0, 2.0]))])
    served.sleep()
    assert posted == expected
    (weights,) = load_file(tmp_path / "model.safetensors").values()
    assert weights.tolist() == [1.0, 2.0]
    assert weights.dtype == torch.bfloat16
