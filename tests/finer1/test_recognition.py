import base64
import io

import pytest
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.prompts import closed_question
from finer1.recognition import Asking, Recognizer, _shares, decode_base64

RED = Image.new("RGB", (48, 40), (200, 30, 30))
ASKING = Asking("trained", "", "bird", max_tokens=6, temperature=1.0, top_p=0.99)


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_an_image_is_asked_as_the_evaluation_asks(tiny_model):
    names = ("ash wren", "elm wren")
    recognizer = Recognizer(tiny_model, ASKING, "cpu")
    found = recognizer.recognize(RED, names, votes=3)
    engine = load_engine("transformers", EngineSettings(tiny_model, {}, "cpu"))
    user = closed_question("What kind of bird is this?", names)
    ((sample,),) = engine.generate([Request(user, (RED,))], Sampling(1, 0.0, 0.99, 6))
    assert found.raw == sample.text
    assert found.candidates == names
    assert recognizer.recognize(RED, names, votes=3) == found


def test_base64_with_and_without_its_kind_is_the_same_image():
    text = encoded(RED)
    assert decode_base64(text).tobytes() == RED.tobytes()
    assert decode_base64(f"data:image/png;base64,{text}").tobytes() == RED.tobytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no base64!", "not base64"),
        ("bm8gaW1hZ2U=", "image: not a readable image"),
        (encoded(Image.new("RGB", (4, 4))), "image: "),  # below the smallest side
        ("A" * 28_000_001, "too many"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(text, said):
    with pytest.raises(ValueError, match=said):
        decode_base64(text)


def test_votes_are_shares_of_all_that_were_drawn():
    # Two of four say elm wren, as the candidate is written; one has no answer.
    found = _shares(["Elm-wren", "elm wren.", "ash wren", None], ["elm wren", "oak wren"])
    assert found == {"elm wren": 0.5, "ash wren": 0.25}


def test_without_votes_there_are_none():
    assert _shares([], ["elm wren"]) == {}
