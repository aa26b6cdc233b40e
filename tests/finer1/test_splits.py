from collections import Counter
from dataclasses import replace

import pytest

from finer1.params import load_params
from finer1.records import ImageRecord
from finer1.splits import choose_seen, labels_by_category, split_images


@pytest.fixture
def settings(repository):
    # seen_fraction 0.6, sft_shots 1, tapo_shots 4
    return load_params(repository / "params.yaml").split


def images(label, train=6, validation=0, test=2, dataset="folder", category="beetle"):
    sides = ["train"] * train + ["validation"] * validation + ["test"] * test
    return [
        ImageRecord(
            id=f"{dataset}/{label}/{place}",
            dataset=dataset,
            category=category,
            label=label,
            group=None,
            member=f"{label}/{place}",
            sha256=f"{dataset}{label}{place}",
            official=side,
        )
        for place, side in enumerate(sides)
    ]


def beetles(count=10, **sides):
    return [record for i in range(count) for record in images(f"beetle {i}", **sides)]


def parts(rows):
    return {row.image.id: row.part for row in rows}


@pytest.mark.parametrize(
    ("fraction", "classes", "seen"),
    # floor; 0.29 x 100 is 28.999... in floating point
    [(0.6, 10, 6), (0.6, 24, 14), (0.6, 37, 22), (0.29, 100, 29)],
)
def test_seen_share_is_rounded_down(settings, fraction, classes, seen):
    settings = settings.model_copy(update={"seen_fraction": fraction})
    keys = [("folder", "beetle", str(i)) for i in range(classes)]
    assert len(choose_seen(keys, settings, 0)) == seen


def test_seen_share_holds_per_category(settings):
    keys = [("world", c, str(i)) for c in ("bird", "car") for i in range(5)]
    assert Counter(key[1] for key in choose_seen(keys, settings, 0)) == {"bird": 3, "car": 3}


def test_seed_changes_the_seen(settings):
    keys = [("folder", "beetle", str(i)) for i in range(30)]
    assert choose_seen(keys, settings, 0) == choose_seen(keys, settings, 0)
    assert choose_seen(keys, settings, 0) != choose_seen(keys, settings, 1)


def test_released_list_is_restricted_to_the_classes_present(settings):
    settings = settings.model_copy(update={"classes": "released"})
    keys = [("bird", "bird", n) for n in ("American Crow", "Bank Swallow", "Bewick Wren")]
    assert choose_seen(keys, settings, 0) == set(keys[:2])


def test_class_outside_the_released_list_is_named(settings):
    settings = settings.model_copy(update={"classes": "released"})
    keys = [("bird", "bird", n) for n in ("American Crow", "Green Budgie")]
    with pytest.raises(ValueError, match=r"not in the released list of bird: Green Budgie"):
        choose_seen(keys, settings, 0)


def test_dataset_without_a_released_list_is_refused(settings):
    settings = settings.model_copy(update={"classes": "released"})
    with pytest.raises(ValueError, match=r"split.classes: there is no released list .* folder"):
        choose_seen([("folder", "beetle", "a")], settings, 0)


def test_category_without_an_unseen_class_is_refused(settings):
    with pytest.raises(ValueError, match=r"split.seen_fraction: 0 of the 1 sub-categories"):
        choose_seen([("folder", "beetle", "a")], settings, 0)


def test_shots_are_counted_per_seen_class(settings):
    rows = split_images(beetles(), settings, 0, False).rows
    counts = Counter((row.part, row.image.label) for row in rows if row.seen)
    seen = {row.image.label for row in rows if row.seen}
    assert all(counts["sft", label] == 1 and counts["tapo", label] == 4 for label in seen)


def test_no_image_has_two_parts(settings):
    rows = split_images(beetles(), settings, 0, False).rows
    assert len({row.image.id for row in rows}) == len(rows) == 80


def test_unseen_classes_train_nothing(settings):
    rows = split_images(beetles(), settings, 0, False).rows
    assert {row.part for row in rows if not row.seen} == {"validation", "test"}


def test_remaining_training_images_validate(settings):
    rows = split_images(beetles(train=8), settings, 0, False).rows
    counts = Counter((row.seen, row.part) for row in rows)
    # 6 seen classes with 8 - 5 left, 4 unseen with all 8
    assert counts[True, "validation"] == 18
    assert counts[False, "validation"] == 32


def test_official_validation_is_kept_and_the_rest_unused(settings):
    rows = split_images(beetles(train=8, validation=3), settings, 0, False).rows
    validation = [row for row in rows if row.part == "validation"]
    assert len(validation) == 30
    assert {row.image.official for row in validation} == {"validation"}


def test_test_images_are_the_official_ones(settings):
    rows = split_images(beetles(), settings, 0, False).rows
    assert all((row.part == "test") == (row.image.official == "test") for row in rows)


def test_class_that_grows_changes_no_other(settings):
    records = beetles(train=7)
    before = parts(split_images(records, settings, 0, False).rows)
    more = [*records, *images("beetle 3", train=40)[20:]]
    after = parts(split_images(more, settings, 0, False).rows)
    assert all(after[i] == part for i, part in before.items() if "beetle 3" not in i)


def test_seed_changes_the_shots(settings):
    keep = settings.model_copy(update={"seen_fraction": 0.9})
    first, second = (parts(split_images(beetles(), keep, seed, False).rows) for seed in (0, 1))
    assert first != second


def test_order_of_the_index_does_not_matter(settings):
    first = parts(split_images(beetles(), settings, 0, False).rows)
    second = parts(split_images(beetles()[::-1], settings, 0, False).rows)
    assert first == second


def test_every_class_with_too_few_images_is_named(settings):
    records = beetles(train=4)
    with pytest.raises(ValueError, match=r"has 4 training images and needs 5") as error:
        split_images(records, settings, 0, False)
    assert len(str(error.value).splitlines()) == 6
    assert "split.sft_shots 1 + split.tapo_shots 4" in str(error.value)


def test_class_without_a_test_image_is_named(settings):
    records = [*beetles(9), *images("bare", test=0)]
    with pytest.raises(ValueError, match=r"bare \(beetle, folder\) has no test image"):
        split_images(records, settings, 0, False)


def with_copy(records):
    """The last test image of beetle 0 gets the bytes of a training image of beetle 5."""
    copied, original = images("beetle 0")[-1], images("beetle 5")[0]
    return [replace(r, sha256=original.sha256) if r.id == copied.id else r for r in records]


def test_same_file_in_two_parts_is_refused_with_both_rows(settings):
    with pytest.raises(ValueError, match=r"beetle 5/0 .* the same file as folder/beetle 0/7"):
        split_images(with_copy(beetles()), settings, 0, False)


def test_same_file_in_two_parts_is_reported_in_a_subset(settings):
    assert len(split_images(with_copy(beetles()), settings, 0, True).duplicates) == 1


def test_labels_are_sorted_by_category(settings):
    rows = split_images(beetles(4), settings, 0, False).rows
    assert labels_by_category(rows) == {"beetle": ("beetle 0", "beetle 1", "beetle 2", "beetle 3")}
