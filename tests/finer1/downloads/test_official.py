"""The published datasets from a server or from archives at hand, in their official layout."""

import dataclasses
import hashlib
import io
import random
import tarfile

import pytest
from PIL import Image

from finer1.datasets.interface import find_folder, find_reader
from finer1.downloads.fetching import Patience, difference
from finer1.downloads.official import MARKER, notes, obtain
from finer1.downloads.sources import SOURCES

PATIENCE = Patience(timeout_s=5.0, attempts=3, backoff_s=0.001)
LAYOUTS = {
    "aircraft": {
        "fgvc-aircraft-2013b.tar.gz": (
            "fgvc-aircraft-2013b/data/images/0034309.jpg",
            "fgvc-aircraft-2013b/data/variants.txt",
            "fgvc-aircraft-2013b/data/images_variant_test.txt",
        )
    },
    "bird": {
        "CUB_200_2011.tgz": (
            "attributes.txt",
            "CUB_200_2011/images.txt",
            "CUB_200_2011/train_test_split.txt",
            "CUB_200_2011/images/001.Black_footed_Albatross/a.jpg",
        )
    },
    "car": {
        "cars_train.tgz": ("cars_train/00001.jpg",),
        "cars_test.tgz": ("cars_test/00001.jpg",),
        "car_devkit.tgz": ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat"),
        "cars_test_annos_withlabels.mat": None,
    },
    "dog": {
        "images.tar": ("Images/n02085620-Chihuahua/n02085620_10074.jpg",),
        "lists.tar": ("file_list.mat", "train_list.mat", "test_list.mat"),
    },
    "flower": {
        "102flowers.tgz": ("jpg/image_00001.jpg",),
        "imagelabels.mat": None,
        "setid.mat": None,
    },
    "pet": {
        "images.tar.gz": ("images/Abyssinian_1.jpg", "images/Abyssinian_100.mat"),
        "annotations.tar.gz": (
            "annotations/list.txt",
            "annotations/trainval.txt",
            "annotations/test.txt",
        ),
    },
}
"""Dataset -> file -> what it holds; None for what is no archive."""


def archive_of(members, draws):
    """Packed as GNU tar does, with small random photographs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for name in members:
            content = photograph(draws) if name.endswith(".jpg") else draws.randbytes(40)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def photograph(draws):
    out = io.BytesIO()
    Image.frombytes("RGB", (12, 9), draws.randbytes(12 * 9 * 3)).save(out, "JPEG")
    return out.getvalue()


def published():
    """Every official file with other content."""
    draws = random.Random(0)
    return {
        f"{dataset}-{name}": draws.randbytes(300) if members is None else archive_of(members, draws)
        for dataset, layout in LAYOUTS.items()
        for name, members in layout.items()
    }


FILES = published()


@pytest.fixture(scope="module")
def server(faulty_server):
    """All official files, served under <dataset>-<file>."""
    with faulty_server.serve(FILES) as running:
        yield running


@pytest.fixture
def sources(server):
    """The sources with the addresses, sizes and hashes of the server's files, by behaviour."""
    server.seen.clear()
    server.requests.clear()

    def of(behaviour="honest"):
        return {
            dataset: dataclasses.replace(
                source,
                files=tuple(
                    dataclasses.replace(
                        file,
                        urls=(f"{server.base}/{behaviour}/{dataset}-{file.name}",),
                        size=len(FILES[f"{dataset}-{file.name}"]),
                        sha256=hashlib.sha256(FILES[f"{dataset}-{file.name}"]).hexdigest(),
                        md5=None,
                    )
                    for file in source.files
                ),
            )
            for dataset, source in SOURCES.items()
        }

    return of


@pytest.fixture
def archives(tmp_path):
    """Makes a folder with the official files of a dataset."""

    def make(dataset):
        folder = tmp_path / "downloads"
        folder.mkdir()
        for name in LAYOUTS[dataset]:
            (folder / name).write_bytes(FILES[f"{dataset}-{name}"])
        return folder

    return make


def names_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def expected_names(dataset):
    layout = LAYOUTS[dataset].items()
    packed = [name for _, members in layout for name in members or ()]
    return sorted([MARKER, *packed, *(name for name, members in layout if members is None)])


@pytest.mark.parametrize("dataset", sorted(set(LAYOUTS) - {"car"}))
@pytest.mark.parametrize("behaviour", ["honest", "cut", "redirect", "unavailable"])
def test_a_download_gives_the_official_layout(tmp_path, sources, dataset, behaviour):
    folder = obtain(dataset, tmp_path, patience=PATIENCE, sources=sources(behaviour))
    assert folder == tmp_path / dataset
    assert names_below(folder) == expected_names(dataset)


@pytest.mark.parametrize("dataset", sorted(set(LAYOUTS) - {"car"}))
@pytest.mark.parametrize("behaviour", ["wrong_bytes", "page", "missing"])
def test_a_wrong_download_gives_no_folder(tmp_path, sources, dataset, behaviour):
    with pytest.raises(ValueError):
        obtain(dataset, tmp_path, patience=PATIENCE, sources=sources(behaviour))
    assert not (tmp_path / dataset).exists()


@pytest.mark.parametrize("dataset", sorted(LAYOUTS))
def test_the_reader_finds_the_folder_made_of_given_archives(tmp_path, sources, archives, dataset):
    folder = obtain(dataset, tmp_path / "raw", archives(dataset), sources=sources())
    assert names_below(folder) == expected_names(dataset)
    assert find_folder(folder, find_reader(dataset), dataset).is_relative_to(folder)


def test_given_archives_need_no_network(tmp_path, sources, archives, server):
    obtain("pet", tmp_path / "raw", archives("pet"), sources=sources())
    assert not server.requests


def test_one_archive_with_another_name_is_enough(tmp_path, sources, archives):
    archive = (archives("bird") / "CUB_200_2011.tgz").rename(tmp_path / "birds (1).tgz")
    folder = obtain("bird", tmp_path / "raw", archive, sources=sources())
    assert names_below(folder) == expected_names("bird")


def test_beside_one_archive_the_others_are_looked_for(tmp_path, sources, archives):
    archive = archives("flower") / "102flowers.tgz"
    folder = obtain("flower", tmp_path / "raw", archive, sources=sources())
    assert names_below(folder) == expected_names("flower")


def test_what_is_made_is_not_made_again(tmp_path, sources, server):
    obtain("dog", tmp_path, patience=PATIENCE, sources=sources())
    server.requests.clear()
    before = (tmp_path / "dog" / MARKER).stat()
    obtain("dog", tmp_path, patience=PATIENCE, sources=sources())
    assert not server.requests
    assert (tmp_path / "dog" / MARKER).stat() == before


def test_what_a_killed_process_left_is_no_hindrance(tmp_path, sources, server):
    (tmp_path / ".pet.part" / "whole" / "images").mkdir(parents=True)
    downloads = tmp_path / ".archives" / "pet"
    downloads.mkdir(parents=True)
    (downloads / "images.tar.gz").write_bytes(FILES["pet-images.tar.gz"])
    (downloads / "annotations.tar.gz.part").write_bytes(FILES["pet-annotations.tar.gz"][:50])
    folder = obtain("pet", tmp_path, patience=PATIENCE, sources=sources())
    assert names_below(folder) == expected_names("pet")
    assert [asked for _, asked in server.requests] == ["bytes=50-"]
    assert not (tmp_path / ".pet.part").exists()


def test_the_terms_are_told_once(tmp_path, sources, capfd):
    for _ in range(2):
        obtain("pet", tmp_path, patience=PATIENCE, sources=sources())
    assert capfd.readouterr().err.count("Terms of Oxford-IIIT Pet: CC BY-SA 4.0") == 1


def test_a_dead_source_says_what_to_do(tmp_path, sources, server):
    with pytest.raises(ValueError, match="run `finer1 data get car --from DIR`") as raised:
        obtain("car", tmp_path, sources=sources())
    assert all(name in str(raised.value) for name in LAYOUTS["car"])
    assert not server.requests


def test_all_that_is_missing_is_told_at_once(tmp_path, sources, archives):
    given = archives("car")
    (given / "cars_test.tgz").unlink()
    (given / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(ValueError) as raised:
        obtain("car", tmp_path / "raw", given, sources=sources())
    lines = str(raised.value).splitlines()
    assert [line.partition(" is missing")[0] for line in lines] == [
        str(given / "cars_test.tgz"),
        str(given / "cars_test_annos_withlabels.mat"),
    ]


def test_an_archive_with_another_hash_is_refused(tmp_path, sources, archives):
    given = archives("flower")
    (given / "setid.mat").write_bytes(bytes(300))
    with pytest.raises(
        ValueError, match=r"setid.mat has sha256 .* add --unlisted to `finer1 data get`"
    ):
        obtain("flower", tmp_path / "raw", given, sources=sources())
    assert not (tmp_path / "raw" / "flower").exists()


def test_an_archive_with_another_hash_is_taken_on_request_and_noted(tmp_path, sources, archives):
    given = archives("flower")
    (given / "setid.mat").write_bytes(bytes(300))
    raw = tmp_path / "raw"
    folder = obtain("flower", raw, given, allow_unlisted=True, sources=sources())
    assert [note.partition(" has ")[0] for note in notes(folder)] == ["flower: setid.mat"]
    with pytest.raises(ValueError, match="made of other files than the listed setid.mat"):
        obtain("flower", raw, sources=sources())
    assert obtain("flower", raw, allow_unlisted=True, sources=sources()) == folder


def test_given_archives_are_compared_with_the_folder_that_is_there(tmp_path, sources, archives):
    raw, given = tmp_path / "raw", archives("flower")
    folder = obtain("flower", raw, given, sources=sources())
    assert obtain("flower", raw, given, sources=sources()) == folder
    (given / "setid.mat").write_bytes(bytes(300))
    with pytest.raises(
        ValueError, match=r"made of other files than \S+setid.mat; .* remove the fo"
    ):
        obtain("flower", raw, given, allow_unlisted=True, sources=sources())


def test_archives_as_listed_are_not_noted(tmp_path, sources, archives):
    folder = obtain("pet", tmp_path / "raw", archives("pet"), sources=sources())
    assert notes(folder) == ()


def test_an_archive_of_something_else_is_refused(tmp_path, sources, archives):
    given = archives("bird")
    (given / "CUB_200_2011.tgz").write_bytes(FILES["pet-images.tar.gz"])
    with pytest.raises(ValueError, match="dataset bird: its files hold no CUB_200_2011/images, "):
        obtain("bird", tmp_path / "raw", given, allow_unlisted=True, sources=sources())
    assert not (tmp_path / "raw" / "bird").exists()


def test_a_folder_that_was_made_elsewhere_is_not_touched(tmp_path, sources):
    (tmp_path / "pet").mkdir()
    with pytest.raises(ValueError, match="was not made here"):
        obtain("pet", tmp_path, sources=sources())


def test_a_name_that_is_no_published_dataset_is_refused(tmp_path):
    with pytest.raises(ValueError, match="fish is none of the published datasets: aircraft, bird"):
        obtain("fish", tmp_path)


@pytest.mark.parametrize("dataset", sorted(SOURCES))
def test_every_listed_file_has_size_address_and_hash(dataset):
    for file in SOURCES[dataset].files:
        assert file.size
        assert all(url.endswith(f"/{file.name}") for url in file.urls)
        assert file.is_listed
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert file.md5 is None or len(bytes.fromhex(file.md5)) == 16
    assert [file.name for file in SOURCES[dataset].files] == list(LAYOUTS[dataset])


def test_the_real_labels_of_the_flowers_have_the_listed_hash(real_data):
    listed = {file.name: file for file in SOURCES["flower"].files}["imagelabels.mat"]
    assert difference(real_data / "flowers-102" / listed.name, listed) is None
