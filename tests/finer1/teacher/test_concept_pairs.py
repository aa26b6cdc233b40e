from dataclasses import replace

import pytest
from PIL import Image

from finer1.records import Concepts, ImageRecord
from finer1.teacher.concept_pairs import ConceptPair, choose_pairs, draw_pairs

WREN = ConceptPair(
    "elm wren", ("d/0", "d/1"), (("red crown", "long tail"), ("Red  crown", "a perch"))
)


def image(number, label):
    return ImageRecord(f"d/{number}", "d", "bird", label, None, "0" * 64, "0" * 16, "train")


def rows(*labels):
    """An image and its concepts each."""
    images = {f"d/{n}": image(n, label) for n, label in enumerate(labels)}
    found = [Concepts(key, item.label, (), (f"c{key}",), (1.0,)) for key, item in images.items()]
    return found, images


def test_both_have_a_concept_whatever_its_case_and_spaces():
    assert [WREN.is_shared(text) for text in WREN.concepts[0]] == [True, False]
    assert [WREN.is_shared(text) for text in WREN.concepts[1]] == [True, False]


def test_only_a_class_with_two_images_is_shown():
    found, images = rows("wren", "tern", "wren", "gull", "wren")
    (pair,) = choose_pairs(found, images, 4, 0)
    assert pair.label == "wren"
    assert len(set(pair.image_ids)) == 2
    assert set(pair.image_ids) < {"d/0", "d/2", "d/4"}
    assert pair.concepts == tuple((f"c{key}",) for key in pair.image_ids)


def test_equal_seeds_choose_equal_pairs():
    found, images = rows(*"abcabc")
    first = choose_pairs(found, images, 2, 1)
    assert len(first) == 2
    assert choose_pairs(found[::-1], images, 2, 1) == first


def test_two_classes_of_one_name_are_no_pair():
    found, images = rows("wren", "wren")
    images["d/1"] = replace(images["d/1"], category="toy")
    assert choose_pairs(found, images, 2, 0) == []


def test_a_picture_shows_both_images_and_marks_what_they_share():
    colours = {"d/0": "red", "d/1": "green"}
    sheet = draw_pairs([WREN], lambda key: Image.new("RGB", (28, 28), colours[key]))
    assert sheet.getpixel((100, 120)) == (255, 0, 0)
    assert sheet.getpixel((330, 120)) == (0, 128, 0)
    blue = [pixel for pixel in sheet.get_flattened_data() if pixel == (43, 100, 145)]
    assert blue  # the shared concept alone is of this colour
    without = replace(WREN, concepts=(("red crown",), ("a perch",)))
    plain = draw_pairs([without], lambda key: Image.new("RGB", (28, 28)))
    assert (43, 100, 145) not in set(plain.get_flattened_data())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_pairs_has_its_place(count):
    one = draw_pairs([WREN], lambda key: Image.new("RGB", (28, 28)))
    sheet = draw_pairs([WREN] * count, lambda key: Image.new("RGB", (28, 28)))
    assert sheet.size == (min(count, 2) * one.width, -(-count // 2) * one.height)


def test_no_pair_is_said_in_the_picture():
    sheet = draw_pairs([], Image.open)
    assert sheet.width > 300
    assert len(set(sheet.get_flattened_data())) > 2
