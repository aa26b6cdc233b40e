import base64
import json
from itertools import pairwise

import httpx
import pytest

from finer1.endpoint.limits import Limits
from finer1.tryout.client import Asked, Client
from tests.finer1.tryout.conftest import Written, completion, drawing

ASKED = Asked(drawing(1), (), "bird", 5, 0.9)


def test_what_is_served_says_how_it_is_asked(client):
    served = client().served
    assert (served.name, served.identity) == ("tapo", "table:float32:abc")
    assert served.asking.categories == ("bird",)


def test_the_completion_comes_as_it_is_written(client):
    texts = list(client().write(ASKED))
    assert texts[-1] == completion("oak wren")
    assert len(texts) > 10
    assert all(later.startswith(text) for text, later in pairwise(texts))


@pytest.mark.parametrize("candidates", [(), ("elm wren", "oak wren")])
def test_writing_and_drawing_ask_the_engine_the_same(client, candidates):
    engine = Written()
    asking = client(engine)
    asked = Asked(drawing(1), candidates, "bird", 5, 0.9)
    (*_, raw) = asking.write(asked)
    found = asking.read(asked, raw, asking.draw(asked))
    (written, how), (drawn, votes) = engine.seen
    assert written.user == drawn.user == asking.prompt(asked)
    assert written.system == drawn.system == ""
    assert list(written.images[0].getdata()) == list(drawn.images[0].getdata())
    assert (how.n, how.temperature, how.max_tokens) == (1, 0.0, 64)
    assert (votes.n, votes.temperature, votes.top_p, votes.max_tokens) == (5, 0.9, 0.99, 64)
    assert found.votes == {"oak wren": 0.8, "elm wren": 0.2}
    assert found.answer == "oak wren"


def test_what_is_read_is_what_the_endpoint_itself_reads(client):
    asking = client()
    asked = Asked(drawing(1), ("elm wren", "oak wren"), "bird", 0, 0.9)
    (*_, raw) = asking.write(asked)
    image = {"image": base64.b64encode(asked.content).decode(), "category": "bird"}
    body = image | {"candidates": list(asked.candidates)}
    answer = httpx.post(f"{asking.url}/recognize", json=body, timeout=120).json()
    told = asking.body(asking.read(asked, raw, asking.draw(asked)))
    assert json.loads(json.dumps(told)) == answer


def test_without_votes_nothing_is_drawn_and_the_temperature_is_not_looked_at(client):
    engine = Written()
    assert client(engine).draw(Asked(drawing(1), (), "bird", 0, -1.0)) == []
    assert engine.seen == []


def test_a_refusal_is_told_in_the_endpoints_own_words(client):
    many = Asked(drawing(1), (), "bird", 9, 0.9)
    with pytest.raises(ValueError, match="n is at most 8"):
        client().draw(many)
    with pytest.raises(ValueError, match="send at most 50 bytes"):
        list(client(limits=Limits(body_bytes=50)).write(ASKED))


def test_what_is_no_image_is_never_sent(client):
    engine = Written()
    with pytest.raises(ValueError, match="not a readable image"):
        client(engine).draw(Asked(b"text", (), "bird", 1, 0.9))
    assert engine.seen == []


def test_without_the_key_nothing_is_answered(endpoint):
    url = endpoint(Written(), key="secret")
    with pytest.raises(ValueError, match="send the key"):
        _ = Client(url, None).served
    assert Client(url, "secret").served.name == "tapo"


def test_an_address_where_nothing_answers_is_named():
    with pytest.raises(OSError, match="http://127.0.0.1:9/v1 does not answer"):
        _ = Client("http://127.0.0.1:9/v1", None).served


def test_a_server_that_does_not_say_how_its_model_is_asked_is_refused(endpoint):
    url = endpoint(Written()).removesuffix("/v1")
    with pytest.raises(ValueError, match="there is no such route"):
        _ = Client(url, None).served
