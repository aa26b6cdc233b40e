from collections import Counter

import pytest

from finer1.params import load_params
from finer1.records import ImageRecord
from finer1.splits import choose_seen, labels_by_category, needed_shots, split_images


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
            sha256=f"{dataset}{label}{place}",
            phash="0" * 16,
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
    rows = split_images(beetles(), settings, 0)
    counts = Counter((row.part, row.image.label) for row in rows if row.seen)
    seen = {row.image.label for row in rows if row.seen}
    assert all(counts["sft", label] == 1 and counts["tapo", label] == 4 for label in seen)


def test_no_image_has_two_parts(settings):
    rows = split_images(beetles(), settings, 0)
    assert len({row.image.id for row in rows}) == len(rows) == 80


def test_unseen_classes_train_nothing(settings):
    rows = split_images(beetles(), settings, 0)
    assert {row.part for row in rows if not row.seen} == {"validation", "test"}


def test_remaining_training_images_validate(settings):
    rows = split_images(beetles(train=8), settings, 0)
    counts = Counter((row.seen, row.part) for row in rows)
    # 6 seen classes with 8 - 5 left, 4 unseen with all 8
    assert counts[True, "validation"] == 18
    assert counts[False, "validation"] == 32


def test_official_validation_is_kept_and_the_rest_unused(settings):
    rows = split_images(beetles(train=8, validation=3), settings, 0)
    validation = [row for row in rows if row.part == "validation"]
    assert len(validation) == 30
    assert {row.image.official for row in validation} == {"validation"}


def test_test_images_are_the_official_ones(settings):
    rows = split_images(beetles(), settings, 0)
    assert all((row.part == "test") == (row.image.official == "test") for row in rows)


def test_class_that_grows_changes_no_other(settings):
    records = beetles(train=7)
    before = parts(split_images(records, settings, 0))
    more = [*records, *images("beetle 3", train=40)[20:]]
    after = parts(split_images(more, settings, 0))
    assert all(after[i] == part for i, part in before.items() if "beetle 3" not in i)


def test_seed_changes_the_shots(settings):
    keep = settings.model_copy(update={"seen_fraction": 0.9})
    first, second = (parts(split_images(beetles(), keep, seed)) for seed in (0, 1))
    assert first != second


def test_order_of_the_index_does_not_matter(settings):
    first = parts(split_images(beetles(), settings, 0))
    second = parts(split_images(beetles()[::-1], settings, 0))
    assert first == second


def test_every_class_with_too_few_images_is_named(settings):
    records = beetles(train=4)
    with pytest.raises(ValueError, match=r"has 4 training images and needs 5") as error:
        split_images(records, settings, 0)
    assert len(str(error.value).splitlines()) == 6
    assert "split.sft_shots 1 + split.tapo_shots 4" in str(error.value)


def test_class_without_a_test_image_is_named(settings):
    records = [*beetles(9), *images("bare", test=0)]
    with pytest.raises(ValueError, match=r"bare \(beetle, folder\) has no test image"):
        split_images(records, settings, 0)


def test_labels_are_sorted_by_category(settings):
    rows = split_images(beetles(4), settings, 0)
    assert labels_by_category(rows) == {"beetle": ("beetle 0", "beetle 1", "beetle 2", "beetle 3")}


@pytest.fixture
def shared(settings):
    """The same with overlap."""
    return settings.model_copy(update={"overlap": True})


def training(rows):
    """Label -> (images of part sft, images of part tapo), of the seen classes."""
    found = {row.image.label: (set(), set()) for row in rows if row.seen}
    for row in rows:
        if row.part in ("sft", "tapo"):
            found[row.image.label][row.part == "tapo"].add(row.image.id)
    return found


@pytest.mark.parametrize(
    ("train", "sft_shots", "tapo_shots", "counts"),
    # (sft, tapo, shared): of n images SFT takes the first, TAPO the last.
    [
        (5, 1, 4, (1, 4, 0)),
        (4, 1, 4, (1, 4, 1)),
        (3, 1, 4, (1, 3, 1)),
        (4, 1, 3, (1, 3, 0)),
        (2, 1, 1, (1, 1, 0)),
        (1, 1, 1, (1, 1, 1)),
        (5, 4, 3, (4, 3, 2)),
        (2, 16, 16, (2, 2, 2)),
    ],
)
def test_a_class_with_too_few_images_shares_the_fewest(
    shared, train, sft_shots, tapo_shots, counts
):
    shots = {"sft_shots": sft_shots, "tapo_shots": tapo_shots}
    rows = split_images(beetles(train=train), shared.model_copy(update=shots), 0)
    for sft, tapo in training(rows).values():
        assert (len(sft), len(tapo), len(sft & tapo)) == counts


def test_a_shared_image_has_two_rows_in_a_row(shared):
    rows = split_images(beetles(train=1), shared, 0)
    assert [row.part for row in rows if row.seen] == ["sft", "tapo", "test", "test"] * 6


def test_overlap_leaves_classes_with_enough_images_alone(settings, shared):
    assert split_images(beetles(), shared, 0) == split_images(beetles(), settings, 0)


def test_only_the_class_with_too_few_images_shares(shared):
    rows = split_images(beetles(train=4), shared, 0)
    few = sorted(training(rows))[0]
    grown = [
        record
        for i in range(10)
        for record in images(f"beetle {i}", train=4 if f"beetle {i}" == few else 7)
    ]
    found = training(split_images(grown, shared, 0))
    assert [label for label, (sft, tapo) in found.items() if sft & tapo] == [few]


def test_without_overlap_the_message_names_it(settings):
    with pytest.raises(ValueError, match=r"or set split\.overlap to true to use some for both"):
        split_images(beetles(train=4), settings, 0)


def test_overlap_does_not_help_a_class_without_images(shared):
    with pytest.raises(ValueError, match=r"has no training image; add one"):
        split_images(beetles(train=0), shared, 0)


def test_up_to_sixteen_shots_of_each_are_apart(settings):
    shots = settings.model_copy(update={"sft_shots": 16, "tapo_shots": 16})
    for sft, tapo in training(split_images(beetles(train=32), shots, 0)).values():
        assert (len(sft), len(tapo), len(sft & tapo)) == (16, 16, 0)


def preferred_images(side="train", **sides):
    """One image of every beetle, the last of the side."""
    return {
        [r.id for r in images(f"beetle {i}", **sides) if r.official == side][-1] for i in range(10)
    }


def test_preferred_images_are_the_first_shots(settings):
    preferred = preferred_images()
    found = training(split_images(beetles(), settings, 0, preferred))
    assert all(sft <= preferred for sft, _ in found.values())


def test_shots_beyond_the_preferred_ones_stay_as_drawn(settings):
    three = settings.model_copy(update={"sft_shots": 3, "tapo_shots": 2})
    drawn = training(split_images(beetles(), three, 0))
    found = training(split_images(beetles(), three, 0, preferred_images()))
    for label, (sft, _) in found.items():
        assert len(sft & drawn[label][0]) >= 2  # one image at most is pushed out


def test_classes_without_a_preferred_image_use_drawn_ones(settings):
    drawn = training(split_images(beetles(), settings, 0))
    preferred = {name for name in preferred_images() if "beetle 3" in name}
    found = training(split_images(beetles(), settings, 0, preferred))
    assert all(found[label] == drawn[label] for label in found if label != "beetle 3")


def test_a_preferred_validation_image_trains_and_no_longer_validates(settings):
    sides = {"train": 6, "validation": 2}
    preferred = preferred_images("validation", **sides)
    rows = split_images(beetles(**sides), settings, 0, preferred)
    seen = training(rows)
    assert all(sft <= preferred for sft, _ in seen.values())
    validation = {row.image.id for row in rows if row.part == "validation"}
    assert not validation & {image_id for sft, _ in seen.values() for image_id in sft}
    # Ten classes of two, less one of each of the six seen.
    assert len(validation) == 14


def test_a_preferred_test_image_stays_one(settings):
    rows = split_images(beetles(), settings, 0, preferred_images("test"))
    assert rows == split_images(beetles(), settings, 0)


@pytest.mark.parametrize(
    ("sft_shots", "tapo_shots", "counts"), [(2, 2, (2, 2, 2)), (1, 4, (1, 4, 1)), (3, 1, (3, 1, 1))]
)
def test_shared_shots_are_the_same_images(settings, sft_shots, tapo_shots, counts):
    changes = {"sft_shots": sft_shots, "tapo_shots": tapo_shots}
    alone = settings.model_copy(update=changes)
    both = alone.model_copy(update={"shared": True})
    first = training(split_images(beetles(train=9), alone, 0))
    for label, (sft, tapo) in training(split_images(beetles(train=9), both, 0)).items():
        assert (len(sft), len(tapo), len(sft & tapo)) == counts
        assert sft == first[label][0]


def test_shared_shots_need_as_many_images_as_the_larger_stage(settings):
    both = settings.model_copy(update={"sft_shots": 2, "tapo_shots": 4, "shared": True})
    assert training(split_images(beetles(train=4), both, 0))
    with pytest.raises(ValueError, match=r"needs 4 \(split.sft_shots 2 and split.tapo_shots 4\)"):
        split_images(beetles(train=3), both, 0)


@pytest.mark.parametrize(
    ("overlap", "shared", "needed"), [(False, False, 5), (False, True, 4), (True, True, 1)]
)
def test_what_both_stages_take_is_needed_once(overlap, shared, needed):
    assert needed_shots(1, 4, overlap, shared) == needed
