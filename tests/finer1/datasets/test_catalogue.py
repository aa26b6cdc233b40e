import json
import os
import time

import pytest

from finer1.datasets.catalogue import Places, content_hash, known_datasets, list_dataset
from finer1.inspection import cache as stamps
from finer1.params import check_params, load_params


@pytest.fixture
def settings(repository):
    """The settings of a run on some datasets."""

    def make(*datasets, **official):
        values = load_params(repository / "params.yaml").model_dump(mode="json")
        values["download"] |= {"datasets": list(datasets)}
        for name, change in official.items():
            values["download"][name] |= change
        return check_params(values, "test").download

    return make


@pytest.fixture
def where(tmp_path):
    """Places of which only the last two may be there."""
    return Places(None, tmp_path / "raw", tmp_path / "own")


def test_the_drawn_world_has_no_content(settings, where):
    assert content_hash(settings("world"), where, None) is None


def test_a_dataset_is_read_from_below_the_named_folder(settings, drawn_birds, tmp_path):
    places = Places(drawn_birds.parent, tmp_path / "raw", tmp_path / "own")
    listing = list_dataset("bird", settings("bird", bird={"subset": True}), places)
    assert {image.label for image in listing.images} >= {"American Crow", "Fish Crow"}
    assert "part of the official dataset" in listing.notes[0]


def test_a_dataset_without_its_folder_asks_for_it(settings, where):
    with pytest.raises(ValueError, match=r"name it by `finer1 run --root DIR`"):
        list_dataset("bird", settings("bird"), where)


def test_a_root_that_is_no_folder_is_named(settings, where, tmp_path):
    places = Places(tmp_path / "nowhere", where.raw, where.own)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        list_dataset("bird", settings("bird"), places)


def test_every_dataset_counts_in_the_content(settings, drawn_birds, where):
    (where.own / "moths").mkdir(parents=True)
    (where.own / "moths" / "index.jsonl").write_text("a")
    places = Places(drawn_birds, where.raw, where.own)
    hashes = {
        content_hash(settings(*names), places, None) for names in (["bird"], ["bird", "moths"])
    }
    assert len(hashes) == 2


def test_only_folders_count_in_the_content(settings, where):
    downloaded = {"source": "official"}
    assert content_hash(settings("world", "bird", bird=downloaded), where, None) is None


def test_the_names_are_those_that_can_be_read(where):
    (where.own / "moths").mkdir(parents=True)
    (where.own / ".moths.part").mkdir()
    names = ["world", "aircraft", "bird", "car", "dog", "flower", "pet", "moths"]
    assert known_datasets(where.own) == names


def test_archives_that_are_not_the_listed_ones_count_in_the_content(settings, where):
    download = settings("world", "bird", bird={"source": "official", "subset": True})
    (where.raw / "bird").mkdir(parents=True)
    marker = where.raw / "bird" / ".complete.json"
    hashes = []
    for sha256, notes in (("aa", []), ("bb", ["a note"]), ("cc", ["a note"])):
        made = {"files": {"CUB_200_2011.tgz": {"sha256": sha256, "md5": "dd"}}, "notes": notes}
        marker.write_text(json.dumps(made))
        hashes.append(content_hash(download, where, None))
    assert hashes[0] is None
    assert len(set(hashes)) == 3


@pytest.fixture
def old_file(monkeypatch):
    """Writes a file and waits until its stamp cannot be that of other content."""
    monkeypatch.setattr(stamps, "YOUNG_S", 0.05)

    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        time.sleep(0.1)

    return write


@pytest.fixture
def readings(monkeypatch):
    """The names of the files that are read to be hashed."""
    from finer1.datasets import catalogue

    names, real = [], catalogue.sha256_file

    def sha256_file(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(catalogue, "sha256_file", sha256_file)
    return names


def test_files_are_read_again_only_when_they_may_have_changed(
    settings, where, tmp_path, readings, old_file
):
    folder, cache = where.own / "moths", tmp_path / "inspections"
    old_file(folder / "old.png", b"old")
    (folder / "young.png").write_bytes(b"young")
    os.utime(folder / "young.png", (2**32, 2**32))  # as young as none can be
    first = content_hash(settings("moths"), where, cache)
    assert first == content_hash(settings("moths"), where, None)
    readings.clear()
    assert content_hash(settings("moths"), where, cache) == first
    assert readings == ["young.png"]


def test_a_change_that_keeps_size_and_mtime_is_seen(settings, where, tmp_path, old_file):
    file, cache = where.own / "moths" / "a.png", tmp_path / "inspections"
    old_file(file, b"one")
    first = content_hash(settings("moths"), where, cache)
    times = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content_hash(settings("moths"), where, cache) != first


@pytest.mark.slow
def test_sixty_thousand_unchanged_files_take_under_two_seconds(settings, where, tmp_path, old_file):
    folder, cache = where.own / "moths", tmp_path / "inspections"
    for number in range(60_000):
        path = folder / f"{number % 200:03}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4))
    old_file(folder / "index.jsonl", b"last")
    first = content_hash(settings("moths"), where, cache)
    begin = time.process_time()
    assert content_hash(settings("moths"), where, cache) == first
    assert time.process_time() - begin < 2
