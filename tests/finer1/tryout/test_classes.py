from dataclasses import replace

from finer1.records import ImageRecord, SplitRecord
from finer1.tryout.classes import EXAMPLES, REFERENCES, classes_of


def image(label, number, side="train", category="bird", sha256=None):
    name = f"w/{side}/{label}/{number}.png"
    return ImageRecord(name, "w", category, label, None, sha256 or f"sha of {name}", "0" * 16, side)


IMAGES = [
    image(label, number, side)
    for label in ("Elm wren", "oak wren")
    for side, count in (("train", 5), ("validation", 1), ("test", 2))
    for number in range(count)
]
SPLITS = [SplitRecord(item, True, "tapo") for item in IMAGES if "/0.png" in item.id]


def test_references_are_training_images_by_any_right_spelling():
    found = classes_of(IMAGES, SPLITS, 0).references("bird", "the elm-wren")
    assert found == tuple(f"w/train/Elm wren/{n}.png" for n in range(REFERENCES))
    assert classes_of(IMAGES, SPLITS, 0).references("car", "elm wren") == ()


def test_examples_are_of_different_classes_and_train_nothing_where_that_is_possible():
    examples = classes_of(IMAGES, SPLITS, 0).examples
    assert sorted(item.label for item in examples) == ["Elm wren", "oak wren"]
    assert all(item.official == "train" and "/0.png" not in item.id for item in examples)


def test_a_training_image_with_the_bytes_of_a_test_image_is_no_example():
    copies = [image("elm", 0, sha256="x"), image("elm", 0, "test", sha256="x")]
    assert classes_of(copies, [], 0).examples == ()


def test_bytes_of_a_test_image_are_known_as_it_and_never_shown_to_compare_with():
    copies = [image("elm", 0, sha256="x"), image("elm", 0, "test", sha256="x")]
    found = classes_of(copies, [], 0)
    assert found.known == {"x": copies[1]}
    assert found.references("bird", "elm") == ()


def test_where_all_train_examples_are_of_those_that_do():
    trained = [image("elm", 0), image("oak", 0)]
    splits = [SplitRecord(item, True, "sft") for item in trained]
    assert len(classes_of(trained, splits, 0).examples) == 2


def test_categories_take_turns_among_the_examples():
    many = [image(f"b{n}", 0) for n in range(9)] + [image(f"c{n}", 0, category="car")
                                                   for n in range(9)]  # fmt: skip
    examples = classes_of(many, [], 0).examples
    assert [item.category for item in examples] == ["bird", "car"] * (EXAMPLES // 2)
    assert classes_of(many, [], 0).examples == examples
    assert classes_of(many, [], 1).examples != examples


def test_all_images_are_known_but_corrected_ones_and_names_are_sorted():
    corrected = replace(image("oak wren", 9), id="w/@corrected/9.png")
    found = classes_of([*IMAGES, corrected], SPLITS, 0)
    assert found.known == {item.sha256: item for item in IMAGES}
    assert found.names == {"bird": ("Elm wren", "oak wren")}
    assert found.keys == (("w", "bird", "Elm wren"), ("w", "bird", "oak wren"))
