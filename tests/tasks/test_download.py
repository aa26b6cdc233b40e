import hashlib
import json

import pytest

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
