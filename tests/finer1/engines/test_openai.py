import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.engines.openai import OpenAIEngine
from finer1.serving.protocol import ATTEMPTS

ONE = Sampling(n=1, temperature=0.7, top_p=0.9, max_tokens=50)


class Server:
    """A local server that plays a script of answers and notes what it was sent."""

    def __init__(self):
        self.script = []
        self.requests = []
        self.models = ["finer"]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(200, {"data": [{"id": name} for name in outer.models]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                status, answer = outer.script.pop(0) if outer.script else (200, completion(body))
                self.answer(status, answer)

            def answer(self, status, value):
                content = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def completion(body, finish="stop"):
    """What the model says: the text it was asked, and its seed."""
    text = body["messages"][-1]["content"][-1]["text"]
    choices = [
        {"message": {"content": f"{text}/{body['seed']}/{i}"}, "finish_reason": finish}
        for i in range(body["n"])
    ]
    return {"choices": choices, "usage": {"completion_tokens": 7 * body["n"]}}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def load(server, name="openai", key=None):
    settings = EngineSettings(None, {}, "cpu", server=server.url, api_key=key)
    return load_engine(name, settings)


def hurried(server, waits):
    """The engine, noting its waits instead of waiting."""
    return OpenAIEngine(httpx.Client(base_url=f"{server.url}/"), "finer", waits.append)


def test_samples_come_in_the_order_of_the_requests(server):
    requests = [Request(f"question {i}", seed=i) for i in range(40)]
    groups = load(server).generate(requests, ONE)
    assert [group[0].text for group in groups] == [f"question {i}/{i}/0" for i in range(40)]
    assert groups[0][0].num_tokens == 7


def test_request_carries_sampling_system_text_and_key(server):
    load(server, key="secret").generate([Request("what?", system="be brief", seed=3)], ONE)
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert (body["model"], body["n"], body["seed"]) == ("finer", 1, 3)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 50)
    assert body["messages"][0] == {"role": "system", "content": "be brief"}


def test_image_arrives_with_the_same_pixels(server):
    image = Image.effect_noise((9, 7), 80).convert("RGB")
    load(server).generate([Request("what?", images=(image,))], ONE)
    part = server.requests[0][2]["messages"][0]["content"][0]
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).tobytes() == image.tobytes()


def test_several_samples_are_one_request(server):
    (group,) = load(server).generate([Request("q")], Sampling(3, 1.0, 1.0, 9))
    assert [sample.text for sample in group] == ["q/0/0", "q/0/1", "q/0/2"]
    assert len(server.requests) == 1


def test_server_that_gives_one_choice_is_asked_again_with_other_seeds(server):
    one = {"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}
    server.script = [(200, one)] * 3
    (group,) = load(server).generate([Request("q", seed=5)], Sampling(3, 1.0, 1.0, 9))
    assert [sample.finish_reason for sample in group] == ["length"] * 3
    assert [(body["n"], body["seed"]) for _, _, body in server.requests] == [(3, 5), (2, 6), (1, 7)]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_tried_again_after_doubling_waits(server, status):
    server.script = [(status, {"error": "busy"})] * 3
    waits = []
    groups = hurried(server, waits).generate([Request("q")], ONE)
    assert groups[0][0].text == "q/0/0"
    assert waits == [0.5, 1.0, 2.0]


def test_server_that_stays_busy_is_a_failed_connection(server):
    server.script = [(503, {"error": "full"})] * 99
    waits = []
    with pytest.raises(ConnectionError, match=r"does not answer after 7 tries \(503"):
        hurried(server, waits).generate([Request("q")], ONE)
    assert len(waits) == ATTEMPTS - 1


def test_refused_request_is_not_tried_again(server):
    server.script = [(400, {"error": "image too large"})]
    with pytest.raises(ValueError, match=r"refuses the request with 400: .*image too large"):
        hurried(server, []).generate([Request("q")], ONE)
    assert len(server.requests) == 1


def test_wrong_key_is_refused_without_printing_it(server):
    server.script = [(401, {"error": "bad key"})]
    with pytest.raises(ValueError, match="401") as error:
        load(server, key="secret").generate([Request("q")], ONE)
    assert "secret" not in str(error.value)


def test_page_instead_of_json_is_a_failed_connection(server):
    server.script = [(200, b"<html>login</html>")]
    with pytest.raises(ConnectionError, match="something other than JSON"):
        hurried(server, []).generate([Request("q")], ONE)


def test_dead_server_is_a_failed_connection():
    client = httpx.Client(base_url="http://127.0.0.1:1/v1/")
    with pytest.raises(ConnectionError, match="ConnectError"):
        OpenAIEngine(client, "finer", lambda _: None).generate([Request("q")], ONE)


def test_name_of_the_model_comes_with_the_engines_name(server):
    engine = load(server, "openai:Qwen/Qwen2.5-VL-32B-Instruct")
    assert engine.identity == "openai:Qwen/Qwen2.5-VL-32B-Instruct"


def test_choice_among_several_models_is_left_to_the_user(server):
    server.models = ["a", "b"]
    with pytest.raises(ValueError, match=r"2 models \(a, b\); name one: engine: openai:<model>"):
        load(server)


@pytest.mark.parametrize("address", [None, "localhost:8000"])
def test_missing_address_is_asked_for(address):
    with pytest.raises(ValueError, match="set FINER1_SERVER"):
        load_engine("openai", EngineSettings(None, {}, "cpu", server=address))
