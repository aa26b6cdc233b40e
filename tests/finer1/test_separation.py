from dataclasses import replace

import pytest

from finer1.records import ImageRecord, Rationale, SplitRecord, Triplet
from finer1.separation import (
    check_rationales,
    check_split,
    check_triplets,
    find_duplicates,
    seen_elsewhere,
    unseen_named,
)


def row(name, part, seen=True, official=None, **changes):
    """Row of the image d/<label>/<number>, named `<label>/<number>`."""
    if official is None:
        official = "test" if part == "test" else "train"
    record = ImageRecord(
        id=f"d/{name}",
        dataset="d",
        category="bird",
        label=name.partition("/")[0],
        group=None,
        sha256=name,
        phash="0" * 16,
        official=official,
    )
    return SplitRecord(replace(record, **changes), seen, part)


@pytest.fixture
def rows():
    """Two seen sub-categories of three training images each, and the unseen reed tern."""
    return [
        *(row(f"{label}/{i}", part) for label in ("elm wren", "oak wren")
          for i, part in enumerate(("sft", "tapo", "tapo", "validation", "test"))),
        *(row(f"reed tern/{i}", part, seen=False) for i, part in enumerate(("validation", "test"))),
    ]  # fmt: skip


def rationale(image="d/elm wren/0", label="elm wren", options=("elm wren", "oak wren")):
    return Rationale(f"cot/{image}", image, "bird", label, "?", "a", options, "c", label, 1, "t")


def triplet(anchor="d/elm wren/1", **changes):
    return replace(
        Triplet(anchor, "elm wren", "bird", ("d/elm wren/2",), "oak wren",
                ("d/oak wren/1", "d/oak wren/2"), 0.5, "e", "0"),
        **changes,
    )  # fmt: skip


def test_a_split_that_is_apart_is_counted(rows):
    assert check_split(rows, overlap=False) == {
        "split/checked_images": 12,
        "split/checked_classes": 3,
        "split/training_images": 6,
        "split/evaluation_images": 6,
        "split/overlap_images": 0,
        "split/overlap_classes": 0,
        "split/unseen_seen_elsewhere": 0,
    }


def test_shared_images_are_counted_once(rows):
    counts = check_split([*rows, row("elm wren/0", "tapo"), row("elm wren/1", "sft")], overlap=True)
    assert counts["split/training_images"] == 6
    assert (counts["split/overlap_images"], counts["split/overlap_classes"]) == (2, 1)


@pytest.mark.parametrize(
    ("extra", "overlap", "words"),
    [
        (row("elm wren/0", "test", official="train"), True,
         r"d/elm wren/0 has the part test, officially train"),
        (row("elm wren/0", "test"), True, r"d/elm wren/0 has the parts sft and test"),
        (row("elm wren/0", "validation"), True, r"d/elm wren/0 has the parts sft and validation"),
        (row("elm wren/0", "sft"), True, r"d/elm wren/0 has the parts sft and sft"),
        (row("elm wren/0", "tapo"), False, r"d/elm wren/0 has the parts sft and tapo"),
        (row("elm wren/9", "tapo", official="test"), True,
         r"d/elm wren/9 has the part tapo, officially test"),
        (row("reed tern/9", "tapo", seen=False), True,
         r"d/reed tern/9 has the part tapo, but reed tern is unseen"),
        (row("reed tern/9", "sft"), True, r"reed tern \(bird, d\) is both seen and unseen"),
    ],
)  # fmt: skip
def test_a_split_that_is_not_apart_is_refused(rows, extra, overlap, words):
    with pytest.raises(ValueError, match=words):
        check_split([*rows, extra], overlap)


def test_many_wrong_rows_are_cut_short(rows):
    wrong = [row(f"reed tern/{i}", "sft", seen=False) for i in range(10, 40)]
    with pytest.raises(ValueError, match=r"\.\.\. and 10 more") as error:
        check_split([*rows, *wrong], overlap=False)
    assert len(str(error.value).splitlines()) == 22


def test_what_is_not_apart_is_counted_in_the_message(rows):
    # Six images train, one of them is tested, too; reed tern is the one unseen class.
    wrong = [row("elm wren/0", "test"), row("reed tern/9", "sft", seen=False)]
    with pytest.raises(ValueError, match="the split is not apart: 1 of 7 images trained on are "
                       "evaluated, 1 of 1 unseen sub-categories are trained on"):  # fmt: skip
        check_split([*rows, *wrong], overlap=False)


def test_names_seen_in_another_dataset_are_found(rows):
    other = row("Reed_Tern/0", "test", dataset="e", label="Reed_Tern")
    assert seen_elsewhere(rows) == []
    assert seen_elsewhere([*rows, other]) == [("d", "bird", "reed tern")]


def test_equal_bytes_in_other_parts_or_classes_are_duplicates(rows):
    copy = row("reed tern/9", "test", seen=False, sha256="elm wren/0")
    (found,) = find_duplicates([*rows, copy])
    assert str(found) == (
        "d/reed tern/9 (test, reed tern) is the same file as d/elm wren/0 (sft, elm wren)"
    )
    assert found.is_leak


def test_a_duplicate_in_both_stages_is_no_leak(rows):
    (found,) = find_duplicates([*rows, row("elm wren/9", "tapo", sha256="elm wren/0")])
    assert not found.is_leak


def test_equal_bytes_in_one_part_and_class_are_no_duplicate(rows):
    assert find_duplicates([*rows, row("elm wren/9", "sft", sha256="elm wren/0")]) == []


def test_an_evaluated_copy_is_beside_the_one_that_trains(rows):
    # The file of elm wren/0 (sft) is an oak wren's of part tapo, and a test image twice: of its
    # own class and, thrice, of the reed tern's.
    copies = [
        row("reed tern/7", "test", seen=False, sha256="elm wren/0"),
        row("oak wren/8", "tapo", sha256="elm wren/0"),
        *(row(f"reed tern/{i}", "test", seen=False, sha256="elm wren/0") for i in (8, 9)),
        row("elm wren/9", "test", sha256="elm wren/0"),
    ]
    found = find_duplicates([*copies, *rows])
    assert [(pair.row.image.id, pair.is_leak) for pair in found] == [
        ("d/elm wren/0", False),
        ("d/reed tern/7", True),
        ("d/elm wren/9", True),
    ]
    assert {pair.other.image.id for pair in found} == {"d/oak wren/8"}


def test_a_copy_of_a_shared_image_is_a_duplicate(rows):
    shared = [row("elm wren/0", "tapo"), row("elm wren/9", "tapo", sha256="elm wren/0")]
    (found,) = find_duplicates([*rows, *shared])
    assert {found.row.image.id, found.other.image.id} == {"d/elm wren/0", "d/elm wren/9"}


def test_many_copies_are_found_in_linear_time(rows):
    # As many pairs as 10,000 squared would take minutes.
    copies = [row(f"elm wren/{i}", "sft", sha256="x") for i in range(10, 10_010)]
    copies += [row(f"reed tern/{i}", "test", seen=False, sha256="x") for i in range(10, 10_010)]
    (found,) = find_duplicates(copies)
    assert found.is_leak


def test_an_image_with_two_parts_is_no_duplicate_of_itself(rows):
    assert find_duplicates([*rows, row("elm wren/0", "tapo")]) == []


def test_rationales_about_sft_images_are_counted(rows):
    both = [rationale(), rationale("d/oak wren/0", "oak wren")]
    assert check_rationales(both, rows, [], "file") == {
        "sft/rationales": 2,
        "sft/images": 2,
        "sft/images_without_part": 0,
    }


def test_a_rationale_about_a_shared_image_passes(rows):
    check_rationales([rationale()], [*rows, row("elm wren/0", "tapo")], [], "file")


def test_a_rationale_about_a_free_training_image_passes_and_is_counted(rows):
    free = row("elm wren/9", "sft").image
    found = check_rationales([rationale("d/elm wren/9")], rows, [free], "file")
    assert (found["sft/images"], found["sft/images_without_part"]) == (1, 1)


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (row("elm wren/9", "test").image, "d/elm wren/9 is no image of part sft, and no free one"),
        (row("elm wren/9", "sft", sha256="elm wren/4").image, "is no image of part sft"),
        (row("reed tern/9", "sft").image, "reed tern is an unseen sub-category"),
    ],
    ids=["official test", "bytes of a test image", "unseen"],
)
def test_other_images_without_a_part_are_refused(rows, free, words):
    with pytest.raises(ValueError, match=words):
        check_rationales([rationale(free.id, free.label)], rows, [free], "file")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (rationale("d/elm wren/1"), r"file: cot/d/elm wren/1: d/elm wren/1 is no image of"),
        (rationale("d/elm wren/4"), r"d/elm wren/4 is no image of part sft"),
        (rationale("d/reed tern/7", "reed tern"), r"reed tern is an unseen sub-category"),
        (rationale(label="oak wren"),
         r"the label is oak wren \(bird\), that of d/elm wren/0 is elm wren \(bird\)"),
    ],
)  # fmt: skip
def test_a_rationale_about_anything_else_is_refused(rows, wrong, words):
    rows = [*rows, row("reed tern/7", "sft", seen=False)]
    with pytest.raises(ValueError, match=words):
        check_rationales([rationale(), wrong], rows, [], "file")


def test_unseen_names_among_options_are_counted(rows):
    naming = unseen_named(
        [
            rationale(),
            rationale(options=("elm wren", "Reed_Tern")),
            rationale(options=("reed tern", "elm wren")),
        ],
        rows,
    )
    assert naming.rationales == 2
    assert naming.labels == {("bird", "reed tern")}
    assert naming.searched == 0


def prose(text):
    return replace(rationale(options=()), completion=f"<think>{text}</think><answer>x</answer>")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Unlike the Reed-Tern, it is brown.", 1),
        ("It is no reed tern.", 1),
        ("Great Reed Tern", 0),  # a seen class of its own
        ("Great Reed Tern or reed tern", 1),
        ("It is among reed terns, or a Greed Tern.", 0),
    ],
)
def test_released_prose_is_searched_for_whole_names(rows, text, count):
    naming = unseen_named([prose(text)], [*rows, row("Great Reed Tern/0", "sft")])
    assert (naming.rationales, naming.searched) == (count, 1)


def test_no_rationale_names_nothing(rows):
    assert unseen_named([], rows).labels == frozenset()


def test_triplets_of_tapo_images_are_counted(rows):
    lone = triplet("d/elm wren/2", positives=("d/elm wren/2",))
    assert check_triplets([triplet(), lone], rows, "file") == {
        "triplets/anchors": 2,
        "triplets/images": 4,
        "triplets/positives_augmented": 1,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"anchor": "d/elm wren/0"}, "file: anchor of d/elm wren/0: d/elm wren/0 is no seen"),
        ({"positives": ("d/elm wren/4",)}, "positive of .*: d/elm wren/4 is no seen training"),
        ({"negatives": ("d/reed tern/7",)}, "negative of .*: d/reed tern/7 is no seen training"),
        ({"positives": ("d/oak wren/1",)}, r"d/oak wren/1 shows oak wren \(bird, d\) and not elm"),
        ({"negatives": ("d/elm wren/2",)}, r"elm wren \(bird, d\) and not oak wren \(bird, d\)"),
        ({"negatives": ("e/oak wren/1",)}, r"oak wren \(bird, e\) and not oak wren \(bird, d\)"),
        ({"negatives": ("e/oak wren/2",)}, r"oak wren \(fish, d\) and not oak wren \(bird, d\)"),
        ({"positives": ("e/elm wren/1",)}, r"elm wren \(bird, e\) and not elm wren \(bird, d\)"),
        ({"category": "fish"}, r"anchor of .* elm wren \(bird, d\) and not elm wren \(fish, d"),
        ({"negatives": ("d/elm wren/2",), "negative_label": "elm wren"},
         "negative of d/elm wren/1: elm wren is the same sub-category"),
    ],
)  # fmt: skip
def test_other_images_in_a_triplet_are_refused(rows, changes, words):
    rows = [
        *rows,
        row("reed tern/7", "tapo", seen=False),
        row("oak wren/7", "tapo", id="e/oak wren/1", dataset="e"),
        row("oak wren/7", "tapo", id="e/oak wren/2", category="fish"),
        row("elm wren/7", "tapo", id="e/elm wren/1", dataset="e"),
    ]
    with pytest.raises(ValueError, match=words):
        check_triplets([triplet(**changes)], rows, "file")
