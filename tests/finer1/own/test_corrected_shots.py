from collections import Counter

from finer1.own.corrected_shots import num_corrected, prefer_corrected
from finer1.records import ImageRecord, SplitRecord


def image(name, label="ruby"):
    return ImageRecord(f"b/{name}", "b", "beetle", label, None, name, "0" * 16, "train")


PLAIN = [image(f"{n}.jpg") for n in range(4)]
CORRECTED = [image("@corrected/x.jpg"), image("@corrected/y.jpg")]


def rows(parts, seen=True):
    return [SplitRecord(item, seen, part) for item, part in parts]


def parts(split):
    return [(row.image.id.removeprefix("b/"), row.part) for row in split]


def test_corrected_images_take_the_places_of_others_of_tapo():
    split = rows([(PLAIN[0], "sft"), (PLAIN[1], "tapo"), (PLAIN[2], "tapo")])
    found = prefer_corrected([*PLAIN, *CORRECTED], split)
    assert parts(found) == [("0.jpg", "sft"), ("@corrected/x.jpg", "tapo"),
                            ("@corrected/y.jpg", "tapo")]  # fmt: skip
    assert num_corrected(found) == 2


def test_there_are_as_many_shots_as_before_and_the_last_of_the_others_goes_first():
    split = rows([(PLAIN[0], "sft"), (PLAIN[1], "tapo"), (PLAIN[2], "tapo")])
    found = prefer_corrected([*PLAIN, CORRECTED[0]], split)
    assert parts(found) == [("0.jpg", "sft"), ("1.jpg", "tapo"), ("@corrected/x.jpg", "tapo")]


def test_one_that_both_stages_have_stays_in_sft_and_gives_only_where_tapo_alone_has_none():
    both = rows([(PLAIN[0], "sft"), (PLAIN[0], "tapo")])
    found = prefer_corrected([PLAIN[0], CORRECTED[0]], both)
    assert parts(found) == [("0.jpg", "sft"), ("@corrected/x.jpg", "tapo")]
    found = prefer_corrected([*PLAIN[:2], CORRECTED[0]], [*both, *rows([(PLAIN[1], "tapo")])])
    assert parts(found) == [("0.jpg", "sft"), ("0.jpg", "tapo"), ("@corrected/x.jpg", "tapo")]


def test_one_above_the_shots_has_no_part():
    found = prefer_corrected([PLAIN[0], *CORRECTED], rows([(PLAIN[0], "tapo")]))
    assert parts(found) == [("@corrected/x.jpg", "tapo")]


def test_unseen_classes_and_runs_without_corrections_stay_as_they_are():
    unseen = rows([(PLAIN[0], "validation")], seen=False)
    assert prefer_corrected([PLAIN[0], CORRECTED[0]], unseen) == unseen
    split = rows([(PLAIN[0], "sft"), (PLAIN[1], "tapo"), (PLAIN[2], "test")])
    assert prefer_corrected(PLAIN, split) == split
    assert num_corrected(unseen) == 0


def test_another_class_gives_nothing():
    other = image("9.jpg", "violet")
    split = rows([(PLAIN[0], "tapo"), (other, "tapo")])
    found = prefer_corrected([PLAIN[0], CORRECTED[0], CORRECTED[1], other], split)
    assert Counter(row.image.label for row in found) == {"ruby": 1, "violet": 1}
