import threading
from itertools import pairwise

import pytest
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.prompts import closed_question
from finer1.recognition import Asking, Recognizer
from finer1.recognition.reading import vote_shares

RED = Image.new("RGB", (48, 40), (200, 30, 30))
NAMES = ("ash wren", "elm wren")
ASKING = Asking("trained", "", ("bird",), max_tokens=6, temperature=1.0, top_p=0.99)


@pytest.fixture(scope="module")
def recognizer(tiny_model):
    return Recognizer.load(tiny_model, "cpu", ASKING)


def test_an_image_is_asked_as_the_evaluation_asks(recognizer, tiny_model):
    found = recognizer.predict(RED, NAMES, votes=3)
    engine = load_engine("transformers", EngineSettings(tiny_model, {}, "cpu"))
    user = closed_question("What kind of bird is this?", NAMES)
    ((sample,),) = engine.generate([Request(user, (RED,))], Sampling(1, 0.0, 0.99, 6))
    assert found.raw == sample.text
    assert found.candidates == NAMES
    assert recognizer.predict(RED, NAMES, votes=3) == found


def test_many_images_are_answered_in_their_order_each_as_alone(recognizer, tmp_path):
    pictures = [Image.new("RGB", (48, 40), colour) for colour in ("red", "green", "blue")]
    pictures[1].save(tmp_path / "green.png")
    given = [pictures[0], tmp_path / "green.png", pictures[2]]
    found = list(recognizer.predict_many(given, NAMES, batch_size=2))
    assert [item.raw for item in found] == [recognizer.predict(p, NAMES).raw for p in pictures]


def test_what_is_written_piece_by_piece_is_the_prediction(recognizer):
    *parts, last = recognizer.stream(RED, NAMES)
    assert last == recognizer.predict(RED, NAMES)
    assert parts[-1].raw == last.raw
    assert all(one.raw in two.raw for one, two in pairwise(parts))


def test_a_reader_that_stops_ends_the_writing(recognizer):
    before = threading.active_count()
    pieces = recognizer.stream(RED, NAMES)
    next(pieces)
    pieces.close()
    assert threading.active_count() == before


def test_a_file_that_is_no_image_is_named(recognizer, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"notes\.jpg: not a readable image"):
        recognizer.predict(tmp_path / "notes.jpg")


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no folder of a model; it has no config\.json"):
        Recognizer.load(tmp_path)


def test_votes_are_shares_of_all_that_were_drawn():
    # Two of four say elm wren, as the candidate is written; one has no answer.
    found = vote_shares(["Elm-wren", "elm wren.", "ash wren", None], ["elm wren", "oak wren"])
    assert found == {"elm wren": 0.5, "ash wren": 0.25}


def test_without_votes_there_are_none():
    assert vote_shares([], ["elm wren"]) == {}
