"""Copies are written here by `datasets` itself, as the parquet files that the hub holds."""

import io
import threading
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image as Picture

from finer1.data_params import OfficialParams
from finer1.datasets import aircraft, pet
from finer1.downloads.fetching import sole_writer
from finer1.hub.copies import materialise
from finer1.reference.class_ids import class_names
from finer1.reference.classes import released_classes

SORTED_AS_TEXT = sorted(str(number) for number in range(1, 103))
"""Names of nelorth/oxford-flowers: label 0 is '1', label 1 is '10', label 2 is '100'."""


def picture(number: int, format: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (8, 8), (number % 256, number // 256, 90)).save(buffer, format)
    return buffer.getvalue()


def write_split(
    folder: Path, split: str, columns: dict[str, list], features: dict, paths=None, without=()
) -> None:
    """One parquet file of a copy; image n is picture(n), or just a path for those `without`."""
    from datasets import Dataset, Features, Image
    from pyarrow import parquet

    count = len(next(iter(columns.values())))
    paths = paths or [None] * count
    images = [
        {"bytes": None if n in without else picture(n), "path": path}
        for n, path in enumerate(paths)
    ]
    rows = {"image": images, **columns}
    table = Dataset.from_dict(rows, features=Features({"image": Image(), **features}))
    (folder / "data").mkdir(parents=True, exist_ok=True)
    file = folder / "data" / f"{split}-00000-of-00001.parquet"
    if without:  # to_parquet would read the files
        parquet.write_table(table.with_format("arrow")[:], file)
    else:
        table.to_parquet(file)


@pytest.fixture
def copy_of(tmp_path):
    """Writes a copy with train and test: `labels` are numbers of the class names `names`."""

    def write(names, labels, splits=("train", "test"), column="label", paths=None):
        from datasets import ClassLabel

        features = {column: ClassLabel(names=list(names))}
        for split in splits:
            write_split(tmp_path / "copy", split, {column: list(labels)}, features, paths)
        return str(tmp_path / "copy")

    return write


def test_label_order_is_that_of_the_names_not_of_the_numbers(copy_of, tmp_path):
    copy = copy_of(SORTED_AS_TEXT, range(102))
    images = materialise("flower", copy, tmp_path / "raw", subset=True).images
    read = [image.label for image in images if image.official == "train"]
    # Label 1 is class id 10 and label 2 class id 100.
    assert read[1] == class_names("flower")[10 - 1] == "globe thistle"
    assert read[2] == class_names("flower")[100 - 1]
    # Label n taken for class id n + 1 is right for '1' at 0 and for '60' to '69' at 59 to 68:
    # '60' has 59 before it: 1 to 6 and 10 to 59 (56 of them), and 100 to 102.
    naive = class_names("flower")
    assert sum(a == b for a, b in zip(read, naive, strict=True)) == 11


def test_files_hold_the_original_bytes_in_the_order_of_the_splits(copy_of, tmp_path):
    copy = copy_of(SORTED_AS_TEXT, range(102))
    images = materialise("flower", copy, tmp_path / "raw", subset=True).images
    assert [image.official for image in images] == ["train"] * 102 + ["test"] * 102
    assert [image.source.read_bytes() for image in images[:102]] == [*map(picture, range(102))]
    assert images[3].path == "train/row-000003.jpg"
    assert images[105].where == f"hub copy {copy}: split test, row 3"


def test_own_file_names_are_kept_where_they_are_file_names(copy_of, tmp_path):
    paths = ["image_00001.jpg", "../x/image_00002.jpg", "image_00001.jpg", "noname"]
    copy = copy_of(["1", "2", "3", "4"], range(4), paths=paths)
    images = materialise("flower", copy, tmp_path / "raw", subset=True).images
    names = [image.path for image in images[:4]]
    assert names == [
        "train/image_00001.jpg",
        "train/image_00002.jpg",
        "train/row-000002.jpg",
        "train/row-000003.jpg",
    ]


def test_a_copy_is_written_once(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, 1])
    first = materialise("flower", copy, tmp_path / "raw", subset=True)
    times = [image.source.stat().st_mtime_ns for image in first.images]
    assert materialise("flower", copy, tmp_path / "raw", subset=True) == first
    assert [image.source.stat().st_mtime_ns for image in first.images] == times
    assert [path.name for path in (tmp_path / "raw/hub").rglob("loaded")] == []


def test_what_a_kill_left_is_kept_or_written_again(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, 1])
    first = materialise("flower", copy, tmp_path / "raw", subset=True)
    kept, torn, lost, _ = (image.source for image in first.images)
    (torn.parent.parent / "images.jsonl").unlink()
    time = kept.stat().st_mtime_ns
    torn.write_bytes(torn.read_bytes()[:20])
    lost.unlink()
    assert materialise("flower", copy, tmp_path / "raw", subset=True) == first
    assert kept.stat().st_mtime_ns == time
    assert (torn.read_bytes(), lost.read_bytes()) == (picture(1), picture(0))


def test_a_finished_copy_that_lost_a_file_is_completed(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, 1])
    first = materialise("flower", copy, tmp_path / "raw", subset=True)
    first.images[1].source.unlink()
    materialise("flower", copy, tmp_path / "raw", subset=True)
    assert first.images[1].source.read_bytes() == picture(1)


def test_changed_local_copy_is_read_anew(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, 1])
    materialise("flower", copy, tmp_path / "raw", subset=True)
    images = materialise("flower", copy_of(["1", "2"], [1, 0]), tmp_path / "raw", True).images
    assert images[0].label == class_names("flower")[1]


def test_files_with_other_label_orders_are_refused(tmp_path):
    from datasets import ClassLabel

    # `datasets` itself gives the names of the first file to both.
    for split, names in (("train", ["1", "2"]), ("test", ["2", "1"])):
        write_split(tmp_path / "c", split, {"label": [0, 1]}, {"label": ClassLabel(names=names)})
    with pytest.raises(ValueError, match=r"test-00000.*: the classes of column label are in anot"):
        materialise("flower", str(tmp_path / "c"), tmp_path / "raw", subset=True)


def test_numbers_without_names_are_refused(tmp_path):
    from datasets import Value

    for split in ("train", "test"):
        write_split(tmp_path / "c", split, {"label": [0, 1]}, {"label": Value("int64")})
    with pytest.raises(ValueError, match=r"labels are integers without names \(column label of im"):
        materialise("flower", str(tmp_path / "c"), tmp_path / "raw", subset=True)


def test_class_labels_that_are_only_numbered_are_refused(copy_of, tmp_path):
    with pytest.raises(ValueError, match=r"integers without names \('0', '1', '2'\)"):
        materialise("bird", copy_of("012", range(3)), tmp_path / "raw", subset=True)
    with pytest.raises(ValueError, match=r"'0' is no class id of 1 to 102"):
        materialise("flower", copy_of("012", range(3)), tmp_path / "raw", subset=True)


def test_a_number_that_is_no_id_is_noticed_where_no_row_has_it(copy_of, tmp_path):
    with pytest.raises(ValueError, match=r"'0' is no class id of 1 to 102"):
        materialise("flower", copy_of("012", [1, 2]), tmp_path / "raw", subset=True)


def test_strings_are_taken_as_names(tmp_path):
    from datasets import Value

    for split in ("train", "test"):
        columns = {"label": ["american_bulldog", "Abyssinian"], "dog": [1, 0]}
        features = {"label": Value("string"), "dog": Value("int64")}
        write_split(tmp_path / "c", split, columns, features)
    images = materialise("pet", str(tmp_path / "c"), tmp_path / "raw", subset=True).images
    assert [(i.label, i.group) for i in images[:2]] == [
        ("American Bulldog", "dog"),
        ("Abyssinian", "cat"),
    ]


def test_the_variant_is_taken_of_three_levels(tmp_path):
    from datasets import ClassLabel

    features = {
        "family": ClassLabel(names=["Boeing 727", "A320"]),
        "manufacturer": ClassLabel(names=["Boeing", "Airbus"]),
        "variant": ClassLabel(names=["A320", "727-200"]),
    }
    columns = {"family": [0, 1], "manufacturer": [0, 1], "variant": [1, 0]}
    for split in ("train", "val", "test"):
        write_split(tmp_path / "c", split, columns, features)
    images = materialise("aircraft", str(tmp_path / "c"), tmp_path / "raw", subset=True).images
    assert [image.label for image in images[:2]] == ["Boeing 727-200", "Airbus A320"]
    # The official training side of aircraft is train and validation together.
    assert Counter(image.official for image in images) == {"train": 4, "test": 2}
    assert len({image.path for image in images}) == 6
    assert {image.crop_bottom for image in images} == {aircraft.BANNER}


def test_two_columns_that_may_be_the_class_are_refused_by_name(tmp_path):
    from datasets import Value

    columns = {"kind": ["pug", "boxer"], "owner": ["a", "b"]}
    for split in ("train", "test"):
        write_split(tmp_path / "c", split, columns, dict.fromkeys(columns, Value("string")))
    with pytest.raises(ValueError, match=r"any of the columns kind, owner may be the class"):
        materialise("pet", str(tmp_path / "c"), tmp_path / "raw", subset=True)


def test_unknown_names_are_listed(copy_of, tmp_path):
    copy = copy_of(["pug", "tabby", "mongrel"], range(3))
    with pytest.raises(ValueError, match=r"'mongrel', 'tabby' is no class of dataset pet"):
        materialise("pet", copy, tmp_path / "raw", subset=True)
    assert not list((tmp_path / "raw").rglob("*.jpg"))


def test_missing_class_is_named_unless_a_part_is_meant(copy_of, tmp_path):
    names = sorted(released_classes("pet"))
    copy = copy_of(names, [number for number in range(37) if names[number] != "Pug"])
    with pytest.raises(ValueError, match=r"no image of 'Pug', of dataset pet"):
        materialise("pet", copy, tmp_path / "raw", subset=False)
    notes = materialise("pet", copy, tmp_path / "raw", subset=True).notes
    assert notes[1] == (
        "pet is a part of the official dataset: 72 images instead of 7349, 36 classes instead of "
        "37, 36 training images instead of 3680"
    )


def test_a_row_without_a_class_is_named(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, None])
    with pytest.raises(ValueError, match=r"split train, row 1: no class .*in 1 rows of 2"):
        materialise("flower", copy, tmp_path / "raw", subset=True)


@pytest.mark.parametrize("splits", [("train",), ("train", "test", "unlabelled"), ("val", "test")])
def test_other_splits_are_refused(copy_of, tmp_path, splits):
    copy = copy_of(["1", "2"], [0, 1], splits=splits)
    with pytest.raises(ValueError, match=r"has the splits .*; there must be train and test"):
        materialise("flower", copy, tmp_path / "raw", subset=True)


def test_wrong_counts_are_refused_before_a_file_is_written(copy_of, tmp_path):
    copy = copy_of(SORTED_AS_TEXT, range(102))
    with pytest.raises(ValueError, match=r"dataset flower: 204 images instead of 8189"):
        materialise("flower", copy, tmp_path / "raw", subset=False)
    assert not list((tmp_path / "raw").rglob("*.jpg"))


@pytest.mark.parametrize("subset", [True, False])
def test_another_split_of_all_images_is_refused(copy_of, tmp_path, monkeypatch, subset):
    official = {"images": 74, "classes": 37, "training images": 36}
    monkeypatch.setattr(pet, "OFFICIAL", official)  # 7,349 images take too long
    copy = copy_of(sorted(released_classes("pet")), range(37))
    with pytest.raises(ValueError, match="37 training images instead of 36"):
        materialise("pet", copy, tmp_path / "raw", subset)
    assert not list((tmp_path / "raw").rglob("*.jpg"))


def test_validation_images_of_a_copy_are_its_own_side_where_the_dataset_has_one(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, 1], splits=("train", "validation", "test"))
    images = materialise("flower", copy, tmp_path / "raw", subset=True).images
    assert Counter(image.official for image in images) == {"train": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname", "link.jpg"])
def test_a_row_that_names_a_file_outside_the_copy_is_refused(tmp_path, monkeypatch, name):
    from datasets import ClassLabel

    (tmp_path / "secret.jpg").write_bytes(picture(7))
    for split in ("train", "test"):
        features = {"label": ClassLabel(names=["1", "2"])}
        write_split(tmp_path / "c", split, {"label": [0, 1]}, features, ["a.jpg", name], [1])
    (tmp_path / "c" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    monkeypatch.chdir(tmp_path / "c")
    with pytest.raises(ValueError, match=r"split train, row 1: it names the file '.*', which does"):
        materialise("flower", str(tmp_path / "c"), tmp_path / "raw", subset=True)


def test_a_second_process_waits_for_the_first(copy_of, tmp_path, capfd):
    copy = copy_of(["1", "2"], [0, 1])
    first = materialise("flower", copy, tmp_path / "raw", subset=True)
    (lock,) = (tmp_path / "raw" / "hub").glob(".*.lock")
    with sole_writer(lock):
        again = threading.Thread(target=materialise, args=("flower", copy, tmp_path / "raw", True))
        again.start()
        first.images[0].source.unlink()
        again.join(0.3)
        assert again.is_alive()
        assert not first.images[0].source.exists()
    again.join()
    assert first.images[0].source.exists()
    assert "waiting for the process that holds it" in capfd.readouterr().err


def test_copies_without_images_are_refused(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "train.csv").write_text("label\npug\n")
    (tmp_path / "c" / "test.csv").write_text("label\npug\n")
    with pytest.raises(ValueError, match=r"one column must hold the images, and 0 do, of label"):
        materialise("pet", str(tmp_path / "c"), tmp_path / "raw", subset=True)


def test_folder_without_data_is_refused(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "notes.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"c: it cannot be loaded as it is"):
        materialise("pet", str(tmp_path / "c"), tmp_path / "raw", subset=True)


def test_broken_file_is_refused(copy_of, tmp_path):
    copy = copy_of(["1", "2"], [0, 1])
    for file in Path(copy).rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"copy: it cannot be loaded as it is"):
        materialise("flower", copy, tmp_path / "raw", subset=True)


def test_class_folders_are_a_copy_too(tmp_path):
    for side in ("train", "test"):
        for number, name in enumerate(("001.Black_footed_Albatross", "029.American_Crow")):
            file = tmp_path / "c" / side / name / f"{name[4:]}_{number:04}.jpg"
            file.parent.mkdir(parents=True)
            file.write_bytes(picture(number))
    images = materialise("bird", str(tmp_path / "c"), tmp_path / "raw", subset=True).images
    assert [(i.path, i.label, i.group) for i in images[:2]] == [
        ("train/Black_footed_Albatross_0000.jpg", "Black Footed Albatross", "Albatross"),
        ("train/American_Crow_0001.jpg", "American Crow", "Crow"),
    ]
    assert images[1].source.read_bytes() == picture(1)


@pytest.mark.parametrize(
    "copy", ["./nowhere", "a/b", "a/b@main", f"csv@{'0' * 40}", f"../b/c@{'0' * 40}"]
)
def test_a_hub_name_needs_owner_and_commit(copy, tmp_path):
    with pytest.raises(
        ValueError, match=r"download.pet.source: hub:.*(40 hex digits|no such folder)"
    ):
        materialise("pet", copy, tmp_path / "raw", subset=False)


def test_unreachable_hub_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    copy = f"someone/pets@{'0' * 40}"
    with pytest.raises(OSError, match=rf"hub copy {copy}: it cannot be fetched .*HF_HUB_OFFLINE"):
        materialise("pet", copy, tmp_path / "raw", subset=False)


def test_copy_of_real_photographs_gives_the_records_of_the_official_layout(real_data, tmp_path):
    from datasets import ClassLabel, Dataset, Features, Image

    part = OfficialParams(source="folder", subset=True)
    official = pet.read(real_data / "oxford-iiit-pet", part).images
    names = sorted({image.label.lower().replace(" ", "_") for image in official}, reverse=True)
    features = Features({"image": Image(), "label": ClassLabel(names=names)})
    (tmp_path / "copy").mkdir()
    for side in ("train", "test"):
        images = [image for image in official if image.official == side]
        labels = [names.index(image.label.lower().replace(" ", "_")) for image in images]
        stored = [{"bytes": i.source.read_bytes(), "path": i.source.name} for i in images]
        rows = {"image": stored, "label": labels}
        Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "copy" / f"{side}.parquet")
    copied = materialise("pet", str(tmp_path / "copy"), tmp_path / "raw", subset=True).images
    assert [(c.path, c.label, c.group, c.official) for c in copied] == [
        (f"{o.official}/{o.path}", o.label, o.group, o.official) for o in official
    ]
    for one, other in zip(copied, official, strict=True):
        assert one.source.read_bytes() == other.source.read_bytes()
