"""Requests from what is asked, and the rows that come of it."""

import pytest
from PIL import Image

from finer1.draws import derive_seed
from finer1.engines.interface import Sample, Sampling
from finer1.engines.store import GenerationStore
from finer1.evaluation.asking import Shown, add_votes, ask_model, choose_images
from finer1.evaluation.strategies import Asked
from finer1.records import Question

LABELS = ("ash wren", "elm wren", "oak wren")
GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)


class Echoes:
    """Answers with the user's text, the number of images and of the sample; keeps the requests."""

    identity = "echoes"
    pads = False

    def __init__(self):
        self.requests = []

    def generate(self, requests, sampling):
        self.requests += requests
        return [
            [Sample(f"{r.user} {len(list(r.images))} {i}", 3, "stop") for i in range(sampling.n)]
            for r in requests
        ]


@pytest.fixture
def asked():
    return {
        f"open/w/{i}": Asked("in_context", "S", f"q{i}", ("w/e", f"w/{i}"), "text")
        for i in range(3)
    }


@pytest.fixture
def shown():
    hashes = {"w/e": "e", **{f"w/{i}": f"hash {i}" for i in range(3)}}
    return Shown(hashes, lambda key: Image.new("RGB", (8, 8)))


def test_a_prediction_says_how_it_was_asked(tmp_path, asked, shown):
    engine, store = Echoes(), GenerationStore(tmp_path, 2)
    rows = ask_model("mine", engine, asked, shown, GREEDY, store, 0)
    assert [row.question_id for row in rows] == list(asked)
    first = rows[0]
    assert (first.model, first.identity, first.prompt) == ("mine", "echoes", "S\n\nq0")
    assert (first.completion, first.num_tokens) == ("q0 2 0", 3)
    assert (first.strategy, first.answer_from, first.votes) == ("in_context", "text", ())
    assert engine.requests[0].image_hashes == ("e", "hash 0")
    assert {request.seed for request in engine.requests} == {0}  # greedy: nothing is drawn


def test_a_drawn_completion_has_the_seed_of_its_question(tmp_path, asked, shown):
    engine = Echoes()
    drawn = Sampling(1, 0.7, 1.0, 8)
    ask_model("mine", engine, asked, shown, drawn, GenerationStore(tmp_path, 2), 5)
    assert [r.seed for r in engine.requests] == [derive_seed(5, key) for key in asked]


def test_votes_are_added_to_the_rows_that_were_asked_again(tmp_path, asked, shown):
    engine, store = Echoes(), GenerationStore(tmp_path, 2)
    rows = ask_model("mine", engine, asked, shown, GREEDY, store, 0)
    some = {key: asked[key] for key in ["open/w/1"]}
    voted = add_votes(rows, engine, some, shown, Sampling(3, 0.7, 1.0, 8), store, 0)
    assert [row.votes for row in voted] == [(), ("q1 2 0", "q1 2 1", "q1 2 2"), ()]
    assert [row.completion for row in voted] == [row.completion for row in rows]


def test_so_many_images_of_each_sub_category_are_drawn_whatever_the_order():
    asked = [
        Question(f"open/w/{label}/{number}", f"w/{label}/{number}", "bird", label, True, "open",
                 "?", (), "open")
        for label in LABELS for number in range(3)
    ]  # fmt: skip
    chosen = choose_images(asked, 1, 0, "votes")
    assert sorted(image.split("/")[1] for image in chosen) == [*LABELS]
    assert chosen == choose_images(asked[::-1], 1, 0, "votes")
    assert choose_images(asked, 9, 0, "votes") == {item.image_id for item in asked}
    assert any(choose_images(asked, 1, 0, purpose) != chosen for purpose in "abcdef")
