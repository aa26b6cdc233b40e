import pytest
import torch

from finer1.encoders.interface import TextImageEncoder
from finer1.encoders.open_clip import load_open_clip
from finer1.evaluation.options import (
    NameScores,
    foci_distractors,
    order_options,
    random_distractors,
    score_names,
    sibling_distractors,
)
from finer1.records import ImageRecord

GROUPS = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": None}


def image(label, number=0, category="bird"):
    return ImageRecord(f"w/{label}{number}", "w", category, label, None, "0" * 64, "0" * 16, "test")


def foci(label, cosines, count=3):
    scores = NameScores("foci:m@1", {("w", "bird"): tuple("abcdef")}, {f"w/{label}0": cosines})
    return foci_distractors(image(label), scores, count).names


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
    # Likeliest four: f e d c.
    assert foci("e", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)) == ("f", "d", "c")


def test_a_truth_below_the_likeliest_takes_the_place_of_the_fourth():
    assert foci("a", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)) == ("f", "e", "d")


def test_equally_likely_names_come_by_name():
    assert foci("f", (0.5, 0.5, 0.5, 0.5, 0.5, 0.9)) == ("a", "b", "c")


def test_scores_are_cosines_of_the_image_and_the_prompt():
    spoken = {"a photo of a wren.": (2.0, 0.0), "a photo of a robin.": (3.0, 4.0)}
    encoder = TextImageEncoder(
        name="open_clip:x",
        sha256="0123456789abcdef",
        encode=lambda images: torch.zeros(len(images), 2),
        encode_texts=lambda texts: torch.tensor([spoken[text] for text in texts]),
    )
    scores = score_names(
        [image("wren")],
        torch.tensor([[0.0, 5.0]]),
        {("w", "bird"): ("wren", "robin"), ("w", "fish"): ("cod",)},
        encoder,
    )
    assert scores.source == "foci:open_clip:x@0123456789ab"
    assert scores.names == {("w", "bird"): ("robin", "wren")}  # no image asks for the fish
    # (0, 1) and (0.6, 0.8); (0, 1) and (1, 0).
    assert scores.cosines["w/wren0"] == pytest.approx([0.8, 0.0])


def test_the_text_tower_of_an_open_clip_model_gives_scores(tiny_clip):
    encoder = load_open_clip(f"open_clip:{tiny_clip}", tiny_clip, "cpu")
    names = {("w", "bird"): ("elm wren", "oak wren", "reed tern")}
    scores = score_names([image("elm wren")], torch.ones(1, 16), names, encoder)
    assert len(set(scores.cosines["w/elm wren0"])) == 3
    assert all(abs(cosine) <= 1 for cosine in scores.cosines["w/elm wren0"])


def test_the_order_depends_on_seed_and_question_alone():
    names = ("a", "b", "c", "d")
    assert order_options(names, "q", 0) == order_options(names[::-1], "q", 0)
    orders = {order_options(names, f"q{i}", 0) for i in range(60)}
    assert {order[0] for order in orders} == set(names)
