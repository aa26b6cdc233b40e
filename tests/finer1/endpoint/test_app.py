import base64
import json
from itertools import product

import pytest
from starlette.testclient import TestClient

from finer1.asking import Asking
from finer1.engines.interface import Request, Sampling
from finer1.recognition.uploads import decode_base64
from tests.finer1.endpoint.conftest import ASKING, chat_body, encoded

QUESTION = "What kind of bird is this?"


def test_a_chat_gives_the_greedy_completion_of_the_engine(endpoint, engine):
    answer = endpoint().post("/v1/chat/completions", chat_body())
    assert answer.status_code == 200
    request = Request(QUESTION, (decode_base64(encoded()),))
    ((sample,),) = engine.generate([request], Sampling(1, 0.0, 1.0, 6))
    (choice,) = answer.json()["choices"]
    assert choice["message"] == {"role": "assistant", "content": sample.text}
    assert choice["finish_reason"] == sample.finish_reason


def test_a_chat_is_written_in_events_that_make_the_same_text(endpoint):
    served = endpoint()
    whole = served.post("/v1/chat/completions", chat_body()).json()["choices"][0]
    answer = served.post("/v1/chat/completions", chat_body(stream=True))
    *events, last = [line[6:] for line in answer.text.split("\n\n") if line]
    deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert ("".join(deltas), last) == (whole["message"]["content"], "[DONE]")
    reason = json.loads(events[-1])["choices"][0]["finish_reason"]
    assert reason == whole["finish_reason"] == "length"


def test_equal_seeds_draw_equal_completions(endpoint):
    served, body = endpoint(), chat_body(temperature=1.0, n=3, seed=7)
    one, two = (served.post("/v1/chat/completions", body).json()["choices"] for _ in range(2))
    assert [choice["message"] for choice in one] == [choice["message"] for choice in two]
    assert [choice["index"] for choice in one] == [0, 1, 2]


def test_recognize_gives_answer_sections_candidates_and_votes(endpoint):
    body = {"image": encoded(), "candidates": ["a", "b"], "category": "bird", "votes": 2}
    served = endpoint()
    found = served.post("/v1/recognize", body).json()
    assert found.keys() == {"model", "answer", "candidates", "sections", "votes", "raw"}
    assert (found["model"], found["candidates"]) == ("tiny", ["a", "b"])
    raw = served.client.post(
        "/v1/recognize?category=bird&candidates=a&candidates=b&votes=2",
        content=base64.b64decode(encoded()),
        headers={"content-type": "image/png"},
    )
    assert raw.json() == found


def test_the_model_is_listed_and_requests_are_counted(endpoint):
    served = endpoint()
    (model,) = served.client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"]) == ("tiny", "model")
    assert model["identity"].startswith("transformers:float32:")
    assert Asking(**model["asking"]) == ASKING
    assert served.client.get("/health").json() == {"status": "ok", "model": "tiny"}
    served.post("/v1/recognize", {})
    text = served.client.get("/metrics").text
    assert 'finer1_requests_total{route="recognize",status="400"} 1' in text
    assert 'finer1_request_seconds_count{route="models"} 1' in text


def test_with_a_key_only_its_holder_is_answered(endpoint):
    served = endpoint(key="secret")
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic secret"},
                    {"authorization": "secret"}):  # fmt: skip
        answer = served.post("/v1/chat/completions", chat_body(), headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    right = {"authorization": "Bearer secret"}
    assert served.post("/v1/chat/completions", chat_body(), headers=right).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v1/completions", "/tokenize", "/sleep",
             "/collective_rpc", "/v1/load_lora_adapter", "/v1/chat/completions/"],
)  # fmt: skip
def test_there_is_no_other_route(endpoint, path):
    for method in ("GET", "POST"):
        answer = endpoint().client.request(method, path, follow_redirects=False)
        assert answer.status_code == 404


ADDRESSES = [
    "http://169.254.169.254/latest/meta-data", "https://example.org/a.png", "file:///etc/passwd",
    "ftp://example.org/a.png", "//example.org/a.png", "data:image/png;base64,", "data:,x",
    "data:text/html;base64,PGh0bWw+", "data:image/svg+xml;base64,PHN2Zy8+", "gopher://x/1",
    "http://[::ffff:7f00:1]/", "data:image/png;base64,!!!!", "javascript:alert(1)", "",
    f"data:image/png;base64,{base64.b64encode(b'x' * 40).decode()}",
    f"data:image/png;base64,{encoded(size=(3, 3))}", "blob:x", "chrome://version", "about:blank",
    "data:image/png;base64," + "A" * 200, "data:application/pdf;base64,JVBERi0=",
]  # fmt: skip
VALUES = [None, [], {}, "x", -1, 10**9, 1e400, True]
VALID = (("seed", 10**9), ("category", "x"), ("category", None), ("candidates", []))
FIELDS = ["model", "messages", "max_tokens", "temperature", "top_p", "n", "seed"]


def malformed():
    """Requests of many kinds, each of which is the caller's fault."""
    for address in ADDRESSES:
        part = {"type": "image_url", "image_url": {"url": address}}
        yield "/v1/chat/completions", chat_body(messages=[{"role": "user", "content": [part]}])
        yield "/v1/recognize", {"image": address, "category": "bird"}
    for field, value in product(FIELDS, VALUES):
        if (value is not None or field in ("model", "messages")) and (field, value) not in VALID:
            yield "/v1/chat/completions", chat_body(**{field: value})
    for value in VALUES:
        for field in ("image", "candidates", "category", "votes"):
            if (field, value) not in VALID:
                yield "/v1/recognize", {"image": encoded(), "category": "bird", field: value}
        yield "/v1/chat/completions", value
        yield "/v1/recognize", value
        yield "/v1/chat/completions", chat_body(messages=[value])
        yield "/v1/chat/completions", chat_body(messages=[{"role": "user", "content": [value]}])
    names = "stop tools functions logprobs response_format logit_bias presence_penalty top_k "
    for name in (names + "tool_choice stream_options guided_json repetition_penalty").split():
        yield "/v1/chat/completions", chat_body(**{name: ["x"]})
    user = chat_body()["messages"][0]
    for turns in (
        [user, user], [user, {"role": "assistant", "content": "x"}, user], [user] * 50,
        [{"role": "system", "content": "x"}], [{**user, "role": "system"}, user],
        [{"role": "tool", "content": "x"}], [{"role": "user", "content": "\ud800"}],
        [{"role": "system", "content": "<|image_pad|>"}, user], [{"role": "user", "content":
        [{"type": "text", "text": "x"}] * 17}], [{"role": "user", "content": "x" * 3_000}],
        [{"role": "user", "content": user["content"] * 5}],
    ):  # fmt: skip
        yield "/v1/chat/completions", chat_body(messages=turns)
    for changes in (
        {"n": 9}, {"max_tokens": 5_000}, {"model": "gpt-4"}, {"stream": True, "n": 2},
        {"stream": True, "temperature": 1.0}, {"temperature": 2.1}, {"top_p": 0},
    ):  # fmt: skip
        yield "/v1/chat/completions", chat_body(**changes)
    for changes in (
        {"candidates": ["a"]}, {"candidates": ["a", "a"]}, {"candidates": ["a"] * 21},
        {"candidates": ["a" * 101, "b"]}, {"votes": 9}, {"extra": 1}, {"category": ""},
        {"model": "gpt-4"}, {"candidates": ["", "b"]},
    ):  # fmt: skip
        yield "/v1/recognize", {"image": encoded(), "category": "bird"} | changes


RAW = [b"", b"{", b"[" * 100_000, b'"\\ud800"', b"\xff\xfe", b"null", b'{"a":' * 3_000,
       b"x" * 400_000, b'{"model": "tiny", "model": "tiny"}', b"NaN"]  # fmt: skip


def test_200_malformed_requests_are_each_refused_in_openais_form(endpoint):
    served = endpoint()
    requests = [(path, json.dumps(body).encode()) for path, body in malformed()]
    for path in ("/v1/chat/completions", "/v1/recognize"):
        requests += [(path, body) for body in RAW]
    taken = []
    for path, body in requests:
        answer = served.client.post(path, content=body)
        if answer.status_code == 200:
            taken.append(body[-200:])
            continue
        assert 400 <= answer.status_code < 500, (body[:200], answer.text)
        error = answer.json()["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["message"]
    assert len(requests) >= 200
    assert taken == []
    assert served.post("/v1/chat/completions", chat_body()).status_code == 200
    assert served.desk.under_way == 0


@pytest.mark.parametrize(
    "query", ["vote=3", "votes=x", "votes=1&votes=2", "category=bird&image=x", "votes=9"]
)
def test_an_address_with_what_is_not_understood_is_refused(endpoint, query):
    words = {"content": base64.b64decode(encoded()), "headers": {"content-type": "image/png"}}
    answer = endpoint().client.post(f"/v1/recognize?category=bird&{query}", **words)
    assert answer.status_code == 400, answer.text


def test_a_body_that_declares_too_much_is_not_read(endpoint):
    client: TestClient = endpoint().client
    headers = {"content-length": "300001", "content-type": "application/json"}
    assert client.post("/v1/recognize", content=b"{}", headers=headers).status_code == 413
