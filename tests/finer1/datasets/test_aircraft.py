"""No photographs of aircraft are at hand: other ones, or drawn ones, stand in for them."""

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from finer1.data_params import OfficialParams
from finer1.datasets import aircraft
from finer1.datasets.interface import find_folder
from finer1.reference.classes import released_classes

PART = OfficialParams(source="folder", subset=True)
WHOLE = OfficialParams(source="folder", subset=False)

# The lines of the official variants.txt.
VARIANTS = """
707-320 727-200 737-200 737-300 737-400 737-500 737-600 737-700 737-800 737-900 747-100 747-200
747-300 747-400 757-200 757-300 767-200 767-300 767-400 777-200 777-300 A300B4 A310 A318 A319 A320
A321 A330-200 A330-300 A340-200 A340-300 A340-500 A340-600 A380 ATR-42 ATR-72 An-12 BAE_146-200
BAE_146-300 BAE-125 Beechcraft_1900 Boeing_717 C-130 C-47 CRJ-200 CRJ-700 CRJ-900 Cessna_172
Cessna_208 Cessna_525 Cessna_560 Challenger_600 DC-10 DC-3 DC-6 DC-8 DC-9-30 DH-82 DHC-1 DHC-6
DHC-8-100 DHC-8-300 DR-400 Dornier_328 E-170 E-190 E-195 EMB-120 ERJ_135 ERJ_145
Embraer_Legacy_600 Eurofighter_Typhoon F-16A/B F/A-18 Falcon_2000 Falcon_900 Fokker_100 Fokker_50
Fokker_70 Global_Express Gulfstream_IV Gulfstream_V Hawk_T1 Il-76 L-1011 MD-11 MD-80 MD-87 MD-90
Metroliner Model_B200 PA-28 SR-20 Saab_2000 Saab_340 Spitfire Tornado Tu-134 Tu-154 Yak-42
"""
ALL = [name.replace("_", " ") for name in VARIANTS.split()]

# Variant -> family, manufacturer.
SMALL = {
    "727-200": ("Boeing 727", "Boeing"),
    "737-700": ("Boeing 737", "Boeing"),
    "A320": ("A320", "Airbus"),
    "Cessna 172": ("Cessna 172", "Cessna"),
}


def write_tables(data: Path, variants: dict[str, tuple[str, str]]) -> dict[str, list[str]]:
    """The files of the archive with three images per variant: train, val and test."""
    data.mkdir(parents=True)
    (data / "variants.txt").write_text("".join(f"{name}\n" for name in variants))
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number, (variant, coarser) in enumerate(variants.items()):
        for place, part in enumerate(parts):
            key = f"{number * 3 + place + 34309:07}"
            parts[part].append(key)
            for level, label in zip(
                ("variant", "family", "manufacturer"), (variant, *coarser), strict=True
            ):
                files = [part] if part == "test" else [part, "trainval"]
                for file in files:
                    with (data / f"images_{level}_{file}.txt").open("a") as opened:
                        opened.write(f"{key} {label}\n")
    return parts


@pytest.fixture
def drawn_aircraft(tmp_path):
    """fgvc-aircraft-2013b with four variants, of each a training, validation and test image."""
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    parts = write_tables(data, SMALL)
    (data / "images").mkdir()
    for key in (key for keys in parts.values() for key in keys):
        Image.new("RGB", (40, 60), (int(key) % 256, 9, 9)).save(data / "images" / f"{key}.jpg")
    return data.parent


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / "data" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_all_hundred_names_are_those_of_the_release():
    assert len(ALL) == 100
    assert {aircraft.class_label(name) for name in ALL} == set(released_classes("aircraft"))


def test_names_are_those_of_the_released_questions(repository):
    folder = repository.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"no released question files at {folder}")
    lines = [*(folder / "aircraft_seen.jsonl").open(), *(folder / "aircraft_unseen.jsonl").open()]
    names = {name for line in lines for name in json.loads(line)["options"]}
    assert names == {aircraft.class_label(name) for name in ALL}


@pytest.mark.parametrize(
    ("variant", "label"),
    [
        ("727-200", "Boeing 727-200"),
        ("A300B4", "Airbus A300B4"),
        ("Boeing 717", "Boeing 717"),
        ("F-16A/B", "F-16A/B"),
        ("DC-9-30", "DC-9-30"),
    ],
)
def test_makers_are_put_before_numbers_only(variant, label):
    assert aircraft.class_label(variant) == label


def test_all_variants_are_read_from_the_official_layout(tmp_path):
    parts = write_tables(tmp_path / "data", dict.fromkeys(ALL, ("one", "one")))
    (tmp_path / "data" / "images").mkdir()
    for key in (key for keys in parts.values() for key in keys):
        (tmp_path / "data" / "images" / f"{key}.jpg").touch()
    listing = aircraft.read(tmp_path, PART)
    assert {image.label for image in listing.images} == set(released_classes("aircraft"))
    assert listing.notes == (
        "aircraft is a part of the official dataset: 300 images instead of 10000, "
        "200 training images instead of 6667",
    )


def test_rows_become_images_with_maker_and_banner(drawn_aircraft):
    folder = find_folder(drawn_aircraft.parent, aircraft, "aircraft")
    images = aircraft.read(folder, PART).images
    assert Counter(image.official for image in images) == {"train": 8, "test": 4}
    image = images[6]  # trainval: two images of each variant; the fourth variant is "Cessna 172"
    assert (image.path, image.label, image.group) == ("0034318.jpg", "Cessna 172", "Cessna")
    assert (image.category, image.official, image.crop_bottom) == ("aircraft", "train", 20)
    assert image.where == f"{folder}/data/images_variant_trainval.txt:7"
    assert image.source == folder / "data" / "images" / "0034318.jpg"


def test_photographs_with_a_banner_are_listed_from_the_official_layout(real_data, tmp_path):
    photographs = sorted((real_data / "stanford_cars" / "cars_train").glob("*.jpg"))[:12]
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    parts = write_tables(data, SMALL)
    (data / "images").mkdir()
    keys = [key for keys in parts.values() for key in keys]
    for key, path in zip(keys, photographs, strict=True):
        with Image.open(path) as photograph:
            framed = Image.new("RGB", (photograph.width, photograph.height + 20), "white")
            framed.paste(photograph, (0, 0))
        framed.save(data / "images" / f"{key}.jpg", quality=95)
    images = aircraft.read(data.parent, PART).images
    assert len(images) == 12
    for image in images:
        with Image.open(image.source) as framed:
            # JPEG blurs the edge between picture and banner over a block of 8 rows.
            top = framed.height - image.crop_bottom + 8
            banner = framed.crop((0, top, framed.width, framed.height))
        assert min(low for low, _ in banner.getextrema()) > 240


def test_train_and_val_stand_for_trainval(drawn_aircraft):
    whole = aircraft.read(drawn_aircraft, PART).images
    for level in ("variant", "family", "manufacturer"):
        (drawn_aircraft / "data" / f"images_{level}_trainval.txt").unlink()
    images = aircraft.read(drawn_aircraft, PART).images
    facts = [{(i.path, i.label, i.group, i.official) for i in part} for part in (whole, images)]
    assert facts[0] == facts[1]


def test_group_is_unknown_without_the_manufacturer_files(drawn_aircraft):
    (drawn_aircraft / "data" / "images_manufacturer_test.txt").unlink()
    assert {image.group for image in aircraft.read(drawn_aircraft, PART).images} == {None}


def test_fewer_images_than_official_are_refused_with_the_difference(drawn_aircraft):
    with pytest.raises(
        ValueError, match=r"12 images instead of 10000, 4 classes instead of 100, 8 t"
    ):
        aircraft.read(drawn_aircraft, WHOLE)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        # trainval: 34309 and 34310 are 727-200, then 737-700, A320, Cessna 172; test: 34311, ...
        (
            "variant_test",
            "34311 727-200",
            "34311 737-700",
            "family_test.txt:1: 0034311 is of family",
        ),
        (
            "variant_test",
            "34311 727-200",
            "34311 A320",
            "manufacturer_test.txt:1: 0034311 is of ma",
        ),
        (
            "variant_trainval",
            "309 727-200",
            "309 A320",
            "txt:1: 0034309 is A320, but 727-200 in ima",
        ),
        ("variant_test", "34311 727-200", "34311 727-300", "_test.txt:1: no variant '727-300' in"),
        (
            "variant_test",
            "34311 727-200",
            "34311 172 Cessna",
            "test.txt:1: no variant '172 Cessna'",
        ),
        ("variant_test", "0034311 727-200", "0034311", "test.txt:1: '0034311' is not 'id value'"),
        ("variant_test", "0034311 727-200", "0034314 727-200", "id 0034314 is already in line 1"),
        (
            "variant_test",
            "0034311",
            "0034309",
            "test.txt:1: image 0034309 is already in images_vari",
        ),
        ("variant_test", "0034311", "0099999", "test.txt:1: there is no images/0099999.jpg"),
        ("variant_test", "0034311", "../a", "test.txt:1: '../a' is no image number"),
        (
            "variant_test",
            "0034311 727-200\n",
            "",
            "family_test.txt:1: image 0034311 is not in the v",
        ),
        (
            "variant_val",
            "0034310",
            "0034399",
            "val.txt:1: image 0034399 is not in images_variant_tr",
        ),
    ],
)
def test_wrong_row_is_named(drawn_aircraft, file, old, new, message):
    edit(drawn_aircraft, f"images_{file}.txt", old, new)
    with pytest.raises(ValueError, match="txt") as error:
        aircraft.read(drawn_aircraft, PART)
    assert message in str(error.value)


def test_labels_shifted_by_one_row_are_named(drawn_aircraft):
    path = drawn_aircraft / "data" / "images_variant_trainval.txt"
    keys, labels = zip(*(line.split(" ", 1) for line in path.read_text().splitlines()), strict=True)
    rows = zip(keys, (*labels[1:], labels[0]), strict=True)
    path.write_text("".join(f"{key} {label}\n" for key, label in rows))
    with pytest.raises(
        ValueError, match=r"trainval.txt:2: 0034310 is 737-700, but 727-200"
    ) as error:
        aircraft.read(drawn_aircraft, PART)
    shifted = [line for line in str(error.value).splitlines() if "_variant_trainval.txt:" in line]
    assert [line.split(":")[1] for line in shifted] == ["2", "4", "6", "8"]


def test_variant_named_twice_and_variant_without_images_are_named(drawn_aircraft):
    with (drawn_aircraft / "data" / "variants.txt").open("a") as file:
        file.write("A320\nTornado\n")
    with pytest.raises(
        ValueError, match=r"s.txt:5: A320 is already in line 3\n.*:6: no image is of"
    ):
        aircraft.read(drawn_aircraft, WHOLE)


def test_missing_files_are_named(drawn_aircraft):
    for level in ("trainval", "val"):
        (drawn_aircraft / "data" / f"images_variant_{level}.txt").unlink()
    with pytest.raises(ValueError, match=r"images_variant_val.txt: the file is missing"):
        aircraft.read(drawn_aircraft, PART)
