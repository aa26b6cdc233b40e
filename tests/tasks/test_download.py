import hashlib

import pytest

from finer1.images import ImageArchive
from finer1.records import ImageRecord, read_jsonl
from tasks.download import download


def test_archive_and_index_hold_every_image(make_context, own_images):
    root, changes = own_images
    context = make_context("download", changes, root)
    metrics = download(context)
    records = read_jsonl(context.params.paths.index, ImageRecord)
    archive = ImageArchive(context.params.paths.images)
    hashes = [hashlib.sha256(archive.read_bytes(r.member)).hexdigest() for r in records]
    assert hashes == [record.sha256 for record in records]
    # four classes of ten, floor(10 / 4) = 2 of each for the test
    assert metrics == {
        "data/images": 40,
        "data/classes": 4,
        "data/categories": 1,
        "data/official_train": 32,
        "data/official_validation": 0,
        "data/official_test": 8,
        "data/subset": 0,
    }


def test_sheet_of_one_image_per_class_is_logged(make_context, own_images, logged):
    root, changes = own_images
    download(make_context("download", changes, root))
    assert list(logged.images) == ["data/classes"]


def test_dataset_without_its_folder_asks_for_it(make_context, own_images):
    with pytest.raises(ValueError, match=r"finer1 run --root DIR` or FINER1_DATA_ROOT"):
        download(make_context("download", own_images[1]))


def test_folder_without_its_hash_says_what_to_run(make_context, own_images):
    root, changes = own_images
    context = make_context("download", changes | {"download.content": None}, root)
    with pytest.raises(ValueError, match=r"download.content: .* run `finer1 run --root"):
        download(context)


def test_changed_folder_is_refused(make_context, own_images):
    root, changes = own_images
    (root / "black_dor" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"no longer holds what the hash was taken of"):
        download(make_context("download", changes, root))


def test_broken_image_leaves_no_archive(make_context, own_images, tmp_path):
    from finer1.files import sha256_folder

    root, changes = own_images
    (root / "black_dor" / "3.png").write_bytes(b"<html>")
    changes = changes | {"download.content": sha256_folder(root)}
    context = make_context("download", changes, root)
    with pytest.raises(ValueError, match=r"black_dor/3.png: not a readable image"):
        download(context)
    assert not context.params.paths.images.exists()
