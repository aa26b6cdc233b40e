import base64
import io
import threading
import time

import httpx
import pytest
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, load_engine
from finer1.engines.openai import OpenAIEngine
from finer1.model_params import TeacherParams
from finer1.serving.protocol import ATTEMPTS, TIME_OUTS, connect

ONE = Sampling(n=1, temperature=0.7, top_p=0.9, max_tokens=50)
TEACHER = TeacherParams(
    in_flight=4, timeout_s=10.0, memory_share=0.9, cpu_cache_mib=256, tensor_parallel=1
)


def load(server, name="openai", key=None):
    settings = EngineSettings(None, {}, "cpu", teacher=TEACHER, server=server.url, api_key=key)
    return load_engine(name, settings)


class Noted(threading.Event):
    """Notes the waits instead of waiting."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()


def hurried(server, waits, key=None):
    """The engine, noting its waits instead of waiting."""
    return OpenAIEngine(connect(server.url, key, False, 0.3), "finer", 4, Noted(waits))


def one_answer(*choices, **usage):
    """An answer with these choices."""
    return {"choices": list(choices), "usage": usage}


def said(content, finish="stop"):
    """A choice."""
    return {"message": {"content": content}, "finish_reason": finish}


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
    server.script = [(200, one_answer(said("x", "length")))] * 3
    (group,) = load(server).generate([Request("q", seed=5)], Sampling(3, 1.0, 1.0, 9))
    assert [sample.finish_reason for sample in group] == ["length"] * 3
    assert [(body["n"], body["seed"]) for _, _, body in server.requests] == [(3, 5), (2, 6), (1, 7)]


def test_more_choices_than_asked_for_are_cut(server):
    server.script = [(200, one_answer(said("a"), said("b")))]
    (group,) = load(server).generate([Request("q")], ONE)
    assert [sample.text for sample in group] == ["a"]


def test_choices_come_in_the_order_of_their_indexes(server):
    server.script = [(200, one_answer(said("b") | {"index": 1}, said("a") | {"index": 0}))]
    (group,) = load(server).generate([Request("q")], Sampling(2, 1.0, 1.0, 9))
    assert [sample.text for sample in group] == ["a", "b"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, ""),
        ({"content": ""}, ""),
        ({}, ""),
        (None, ""),
        ({"content": [{"type": "text", "text": "a "}, {"type": "text", "text": "bird"}]}, "a bird"),
        ({"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "y"}]}, "y"),
        ({"content": "a bird", "reasoning_content": "Let me think."}, "a bird"),
        ({"content": None, "reasoning_content": "Let me think."}, ""),
        ({"content": None, "refusal": "I cannot help."}, "I cannot help."),
        # "a long beak", in Chinese
        ({"content": "\u957f\u957f\u7684\u5599"}, "\u957f\u957f\u7684\u5599"),
    ],
)
def test_whatever_the_model_says_is_an_answer(server, message, text):
    server.script = [(200, one_answer({"message": message, "finish_reason": "stop"}))]
    assert load(server).generate([Request("q")], ONE) == [[Sample(text, 0, "stop")]]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        (None, "stop"),
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "length"),
        ("tool_calls", "length"),
    ],
)
def test_finish_reasons_say_whether_the_model_was_cut_off(server, reason, expected):
    server.script = [(200, one_answer(said("x", reason)))]
    ((sample,),) = load(server).generate([Request("q")], ONE)
    assert sample.finish_reason == expected


def test_tokens_of_all_choices_are_shared_out_to_the_last_one(server):
    choices = said("a"), said("b"), said("c")
    server.script = [(200, one_answer(*choices, completion_tokens=20))]
    (group,) = load(server).generate([Request("q")], Sampling(3, 1.0, 1.0, 9))
    assert [sample.num_tokens for sample in group] == [7, 7, 6]  # 20 = 3 x 6 + 2


def test_tokens_of_each_choice_are_taken_where_the_server_lists_them(server):
    choices = said("a") | {"token_ids": [5]}, said("b") | {"token_ids": [5, 6, 7]}
    server.script = [(200, one_answer(*choices, completion_tokens=4))]
    (group,) = load(server).generate([Request("q")], Sampling(2, 1.0, 1.0, 9))
    assert [sample.num_tokens for sample in group] == [1, 3]


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
    with pytest.raises(ConnectionError, match=r"does not answer after 9 tries \(503"):
        hurried(server, waits).generate([Request("q")], ONE)
    assert len(waits) == ATTEMPTS - 1


def test_refused_request_is_not_tried_again(server):
    server.script = [(400, {"error": "image too large"})]
    with pytest.raises(ValueError, match=r"refuses the request with 400: .*image too large"):
        hurried(server, []).generate([Request("q")], ONE)
    assert len(server.requests) == 1


def test_wrong_key_is_refused_without_printing_it(server):
    server.script = [(401, {"error": "bad key: secret"})]
    with pytest.raises(ValueError, match="401") as error:
        load(server, key="secret").generate([Request("q")], ONE)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("lead", [0, 150, 180])  # the key may lie across the place of a cut
@pytest.mark.parametrize("status", [200, 429])
def test_no_answer_with_an_error_prints_the_key(server, caplog, status, lead):
    key = "secret" * 8
    server.script = [(status, {"error": "x" * lead + key})] * ATTEMPTS
    with pytest.raises(ConnectionError) as error:
        hurried(server, [], key).generate([Request("q")], ONE)
    assert "secret" not in str(error.value) + caplog.text
    assert "***" in str(error.value)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "86400"}, 300.0),  # the longest that is granted
        ({"Retry-After": "soon"}, 0.5),
        # 20 s later by the server's clock, which is years behind ours
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:20 GMT"}, 20.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0.5),  # past
    ],
)
def test_the_server_says_how_long_to_wait(server, headers, wait):
    def busy(handler):
        content = b"{}"
        handler.send_response_only(429)
        handler.send_header("Date", "Wed, 21 Oct 2015 07:28:00 GMT")
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    server.script = [busy]
    waits = []
    hurried(server, waits).generate([Request("q")], ONE)
    assert waits == [wait]


def drop(handler):
    """Take the request and close the connection."""
    handler.close_connection = True
    handler.connection.close()


def stop_half_way(handler):
    """Announce more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')


def stay_silent(handler):
    """Longer than the client waits."""
    time.sleep(0.6)


FAULTS = {
    "half JSON": (200, b'{"choices": [{"message": {"con'),
    "nothing": (200, b""),
    "no choices": (200, {"choices": []}),
    "choices null": (200, {"choices": None}),
    "error in a good answer": (200, {"error": {"message": "upstream is overloaded"}}),
    "choice of another form": (200, {"choices": ["text"]}),
    "aborted": (200, one_answer(said("hal", "abort"))),
    "429": (429, {"error": "slow down"}),
    "500": (500, b"Internal Server Error"),
    "529": (529, {"error": "overloaded"}),
    "connection dropped": drop,
    "answer cut off": stop_half_way,
    "silence": stay_silent,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_passing_fault_leaves_no_trace_in_the_answers(server, fault):
    server.script = [fault] * 2
    waits = []
    groups = hurried(server, waits).generate([Request("q", seed=3)], ONE)
    assert groups == [[Sample("q/3/0", 7, "stop")]]
    assert len(waits) == 2


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_lasting_fault_is_one_error(server, fault):
    server.script = [fault] * ATTEMPTS
    tries = TIME_OUTS if fault is stay_silent else ATTEMPTS
    match = rf"/v1/chat/completions does not answer after {tries} tries"
    with pytest.raises(ConnectionError, match=match):
        hurried(server, []).generate([Request("q")], ONE)
    assert len(server.requests) == tries


def test_a_server_that_is_gone_is_given_up_within_half_a_minute(server):
    waits = []
    engine = hurried(server, waits)
    server.close()
    with pytest.raises(ConnectionError, match=r"does not answer after 6 tries \(ConnectError"):
        engine.generate([Request("q")], ONE)
    assert sum(waits) < 30


def test_page_instead_of_json_is_a_failed_connection(server):
    server.script = [(200, b"<html>login</html>")]
    with pytest.raises(ConnectionError, match="something other than JSON"):
        hurried(server, []).generate([Request("q")], ONE)
    assert len(server.requests) == 1


def test_no_more_are_under_way_than_the_bound(server):
    def slow(body):
        time.sleep(0.02)
        return completion(body)

    completion, server.answer = server.answer, slow
    load(server).generate([Request(f"{i}") for i in range(40)], ONE)
    assert server.peak == TEACHER.in_flight


def test_answers_are_given_as_they_arrive_and_ordered_in_the_end(server):
    def first_is_last(body):
        text = body["messages"][-1]["content"][-1]["text"]
        while text == "0" and len(server.answered) < 9:
            time.sleep(0.005)
        return completion(body)

    completion, server.answer = server.answer, first_is_last
    requests = [Request(f"{i}") for i in range(10)]
    arrived = list(load(server).stream(requests, ONE))
    assert arrived[-1][0] == 0
    assert sorted(place for place, _ in arrived) == list(range(10))
    assert all(samples[0].text == f"{place}/0/0" for place, samples in arrived)


def test_answers_under_way_are_kept_when_another_request_is_refused(server):
    server.script = [(400, {"error": "image too large"})]
    given = []
    with pytest.raises(ValueError, match="image too large"):
        given.extend(load(server).stream([Request(f"{i}") for i in range(40)], ONE))
    assert len(given) == len(server.requests) - 1  # each was answered but the one refused
    assert len(server.requests) < 12  # four at once, and few more until the refusal is seen


def test_dead_server_is_a_failed_connection():
    client = httpx.Client(base_url="http://127.0.0.1:1/v1/")
    with pytest.raises(ConnectionError, match="ConnectError"):
        OpenAIEngine(client, "finer", 4, Noted([])).generate([Request("q")], ONE)


def test_name_of_the_model_comes_with_the_engines_name(server):
    engine = load(server, "openai:Qwen/Qwen2.5-VL-32B-Instruct")
    assert engine.identity == "openai:Qwen/Qwen2.5-VL-32B-Instruct"


def test_choice_among_several_models_is_left_to_the_user(server):
    server.models = ["a", "b"]
    with pytest.raises(ValueError, match=r"2 models \(a, b\); name one: engine: openai:<model>"):
        load(server)


@pytest.mark.parametrize("address", [None, "localhost:8000", "http://[::1"])
def test_missing_address_is_asked_for(address):
    with pytest.raises(ValueError, match="set FINER1_SERVER"):
        load_engine("openai", EngineSettings(None, {}, "cpu", teacher=TEACHER, server=address))
