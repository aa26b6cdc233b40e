import pytest
import torch

from finer1.encoders.interface import TextImageEncoder
from finer1.encoders.open_clip import load_open_clip
from finer1.evaluation.options import (
    LikelyNames,
    likeliest_distractors,
    order_options,
    random_distractors,
    score_names,
    sibling_distractors,
)
from finer1.records import ImageRecord

GROUPS = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": None}


def image(label, number=0, category="bird"):
    return ImageRecord(f"w/{label}{number}", "w", category, label, None, "0" * 64, "0" * 16, "test")


def likeliest(label, names, count=3):
    likely = LikelyNames("clip:m@1", {f"w/{label}0": tuple(names)})
    return likeliest_distractors(image(label), likely, count).names


def test_fewer_random_options_are_a_part_of_more():
    few, many = (random_distractors("closed/q", "a", GROUPS, count, 0).names for count in (2, 4))
    assert many[:2] == few
    assert "a" not in many


def test_siblings_come_first_whatever_the_seed():
    for seed in range(20):
        found = sibling_distractors("closed/q", "a", GROUPS, 3, seed)
        assert set(found.names[:2]) == {"b", "c"}
        assert found.source == "mixed"


@pytest.mark.parametrize(("label", "count", "source"), [("a", 2, "siblings"), ("f", 2, "random")])
def test_the_source_says_what_the_siblings_are(label, count, source):
    assert sibling_distractors("closed/q", label, GROUPS, count, 0).source == source


def test_a_truth_among_the_likeliest_leaves_the_other_three():
    assert likeliest("e", "fedc") == ("f", "d", "c")


def test_a_truth_below_the_likeliest_takes_the_place_of_the_fourth():
    assert likeliest("a", "fedc") == ("f", "e", "d")


def score(spoken, count):
    """Scores of an image at (0, 5), the names having these embeddings; fish are not asked for."""
    encoder = TextImageEncoder(
        name="open_clip:x",
        sha256="0123456789abcdef",
        encode=lambda images: torch.zeros(len(images), 2),
        encode_texts=lambda texts: torch.tensor([spoken[text[13:-1]] for text in texts]),
    )
    names = {("w", "bird"): tuple(spoken), ("w", "fish"): ("cod",)}
    return score_names([image("wren")], torch.tensor([[0.0, 5.0]]), names, encoder, count)


def test_likeliest_names_come_by_the_cosine_of_image_and_prompt():
    # Cosines 0, 0.8, 1, 0.6: scale does not count.
    spoken = {"wren": (2.0, 0.0), "robin": (3.0, 4.0), "tern": (0.0, 0.1), "jay": (4.0, 3.0)}
    scores = score(spoken, 3)
    assert scores.source == "clip:open_clip:x@0123456789ab"
    assert scores.names == {"w/wren0": ("tern", "robin", "jay")}


def test_equally_likely_names_come_by_name():
    # The robin is nearer by 1e-9 of a cosine, which may be otherwise on another machine.
    spoken = {"wren": (2.0, 0.0), "robin": (3.0, 4.00000001), "jay": (3.0, 4.0)}
    assert score(spoken, 2).names["w/wren0"] == ("jay", "robin")


def test_the_text_tower_of_an_open_clip_model_gives_scores(tiny_clip):
    encoder = load_open_clip(f"open_clip:{tiny_clip}", tiny_clip, "cpu")
    names = {("w", "bird"): ("elm wren", "oak wren", "reed tern")}
    scores = score_names([image("elm wren")], torch.ones(1, 16), names, encoder, 4)
    assert set(scores.names["w/elm wren0"]) == {*names["w", "bird"]}


def test_the_order_depends_on_seed_and_question_alone():
    names = ("a", "b", "c", "d")
    assert order_options(names, "q", 0) == order_options(names[::-1], "q", 0)
    orders = {order_options(names, f"q{i}", 0) for i in range(60)}
    assert {order[0] for order in orders} == set(names)
