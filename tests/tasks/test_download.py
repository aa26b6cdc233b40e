import hashlib
import json
from dataclasses import replace

import pytest

from finer1.datasets import catalogue
from finer1.images import ImageArchive
from finer1.records import ImageRecord, read_jsonl
from tasks.download import download


def test_archive_and_index_hold_every_image(make_context, own_images):
    context = make_context("download", own_images[1])
    metrics = download(context)
    records = read_jsonl(context.params.paths.index, ImageRecord)
    archive = ImageArchive(context.params.paths.images)
    hashes = [hashlib.sha256(archive.read_bytes(r.id)).hexdigest() for r in records]
    assert hashes == [record.sha256 for record in records]
    assert metrics == {
        "data/datasets": 1,
        "data/images": 40,
        "data/classes": 4,
        "data/categories": 1,
        "data/official_train": 32,
        "data/official_validation": 0,
        "data/official_test": 8,
        "data/skipped": 0,
        "data/differences": 0,
    }


def test_sheet_of_one_image_per_class_is_logged(make_context, own_images, logged):
    download(make_context("download", own_images[1]))
    assert list(logged.images) == ["data/classes"]


@pytest.mark.slow
def test_archives_of_other_datasets_go(make_context, own_images):
    context = make_context("download", own_images[1])
    images = context.params.paths.images
    images.mkdir(parents=True)
    (images / "bird.zip").write_bytes(b"old")
    download(context)
    assert [path.name for path in images.iterdir()] == ["beetles.zip"]


def test_content_without_its_hash_says_what_to_run(make_context, own_images):
    context = make_context("download", own_images[1] | {"download.content": None})
    with pytest.raises(ValueError, match=r"download.content: .* is not set; run `finer1 run`"):
        download(context)


def test_changed_content_is_refused(make_context, own_images):
    folder, changes = own_images
    (folder / "images" / "black dor" / "3.png").unlink()
    with pytest.raises(ValueError, match="is that of other content; run `finer1 run`"):
        download(make_context("download", changes))


@pytest.fixture
def broken(own_images, content_of):
    """The same dataset with two files that are no images, and the changes that read it."""
    folder, changes = own_images
    index = folder / "index.jsonl"
    text = index.read_text()
    for name in ("black dor/3.png", "violet dor/4.png"):
        path = folder / "images" / name
        old = hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_bytes(b"<html>" + name.encode())
        text = text.replace(old, hashlib.sha256(path.read_bytes()).hexdigest())
    index.write_text(text)
    return changes | {"download.content": content_of(folder)}


def test_every_broken_image_is_named_and_nothing_written(make_context, broken):
    context = make_context("download", broken)
    with pytest.raises(ValueError) as caught:
        download(context)
    lines = str(caught.value).splitlines()
    assert [("3.png" in lines[0]), ("4.png" in lines[1]), len(lines)] == [True, True, 2]
    assert not context.params.paths.images.exists()


def test_broken_images_are_left_out_where_that_is_wanted(make_context, broken):
    context = make_context("download", broken | {"download.bad_images": "skip"})
    metrics = download(context)
    assert (metrics["data/images"], metrics["data/skipped"]) == (38, 2)
    audit = json.loads(context.params.paths.audit.read_text())
    assert audit["beetles"]["unreadable"] == 2
    assert audit["beetles"]["findings"][0]["where"].startswith("beetles/index.jsonl")


def test_an_image_that_changes_after_it_was_looked_at_is_not_stored(
    make_context, own_images, monkeypatch
):
    monkeypatch.setattr("tasks.download.stored_bytes", lambda image: b"other")
    context = make_context("download", own_images[1])
    with pytest.raises(ValueError, match=r"index\.jsonl:1: .* changed while it was read"):
        download(context)
    assert not list(context.params.paths.images.glob("*.zip"))


def test_an_image_that_was_edited_after_it_was_added_is_refused(
    make_context, own_images, content_of
):
    folder, changes = own_images
    path = folder / "images/black dor/3.png"
    path.write_bytes(path.read_bytes() + b"more")
    context = make_context("download", changes | {"download.content": content_of(folder)})
    with pytest.raises(ValueError, match=r"3\.png is not the file that was added"):
        download(context)


def test_where_every_image_is_broken_each_is_told_before_the_dataset(
    make_context, own_images, content_of
):
    folder, changes = own_images
    index = folder / "index.jsonl"
    text = index.read_text()
    for number, path in enumerate(sorted((folder / "images").rglob("*.png"))):
        old = hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_bytes(b"<html>%d" % number)
        text = text.replace(old, hashlib.sha256(path.read_bytes()).hexdigest())
    index.write_text(text)
    for bad_images, level in (("refuse", "error"), ("skip", "warning")):
        changed = changes | {
            "download.content": content_of(folder),
            "download.bad_images": bad_images,
        }
        with pytest.raises(ValueError) as caught:
            download(make_context("download", changed))
        first, *_, last = str(caught.value).splitlines()
        assert first.startswith(f"{level}: ")
        assert "0.png is not a readable image" in first
        assert last == "download.datasets: beetles holds no image that can be read"


def test_the_audit_tells_no_place_of_this_machine(make_context, own_images, monkeypatch):
    folder, changes = own_images

    def list_dataset(*arguments):
        note = f"{folder}/annotations.mat: not the official file"
        return replace(catalogue.list_dataset(*arguments), notes=(note,))

    monkeypatch.setattr("tasks.download.list_dataset", list_dataset)
    context = make_context("download", changes)
    download(context)
    audit = json.loads(context.params.paths.audit.read_text())
    assert audit["beetles"]["notes"] == ["beetles/annotations.mat: not the official file"]
