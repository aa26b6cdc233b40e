import io
import shutil

import numpy as np
import pytest
from PIL import Image

from finer1.datasets.interface import ListedImage
from finer1.files import sha256_file, sha256_folder
from finer1.own import improvement
from finer1.own.corrections import Corrections
from finer1.own.dataset import Addition, OwnDataset, read, write_dataset
from finer1.own.improvement import Surroundings, improve, plan_improvement
from finer1.progress import Progress
from finer1.records import ImageRecord

SIDES = ("train", "train", "test")


def picture(seed, kind="PNG"):
    """Smooth noise: pictures of other seeds look nothing alike."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((64, 64)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What was seen in images, by content."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path):
    """A dataset of two classes, each with two training images and a test image."""
    additions = []
    for place, label in enumerate(("golden", "ruby")):
        for number, side in enumerate(SIDES):
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(10 * place + number))
            name, group = f"{label}/{number}.png", f"group of {label}"
            image = ListedImage(name, "beetle", label, group, side, path, str(path))
            additions.append(Addition(image, sha256_file(path)))
    made = tmp_path / "own" / "beetles"
    write_dataset(made, OwnDataset("beetle", "photos"), additions, False, Progress("c", 6, "i"))
    return made


@pytest.fixture
def corrections(tmp_path):
    return Corrections(tmp_path / "corrections", now=lambda: "2026-01-01T00:00:00Z")


@pytest.fixture
def run(folder, corrections, cache):
    """One call of `finer1 improve`."""

    def run(**around):
        plan = plan_improvement(folder, corrections, Surroundings(**around), cache, 1)
        improve(folder, corrections, plan)
        return plan

    return run


def add(corrections, content, label="ruby"):
    return corrections.add(content, ("beetles", "beetle", label), None, "engine:abc", "me")


def corrected(folder):
    return {
        image.path: (image.label, image.group, image.official)
        for image in read(folder).images
        if image.path.startswith("@corrected/")
    }


def test_a_corrected_image_becomes_a_training_image_of_its_class(folder, corrections, run):
    made = add(corrections, picture(100, "JPEG"))
    assert run().added == (made,)
    found = corrected(folder)
    assert found == {f"@corrected/{made.file}": ("ruby", "group of ruby", "train")}
    assert (folder / "images/@corrected" / made.file).read_bytes() == picture(100, "JPEG")
    assert len(read(folder).images) == 7


def test_a_second_call_takes_nothing_twice(folder, corrections, run):
    made = add(corrections, picture(100))
    run()
    before = sha256_folder(folder)
    again = run()
    assert (again.added, again.there, again.is_change) == ((), (made,), False)
    assert sha256_folder(folder) == before


def test_what_was_picked_anew_moves_and_what_was_taken_back_goes(folder, corrections, run):
    first, second = add(corrections, picture(100)), add(corrections, picture(101))
    run()
    add(corrections, picture(100), "golden")
    corrections.take_back(second.sha256, "me")
    plan = run()
    assert [item.label for item in plan.moved] == ["golden"]
    assert [row.sha256 for row in plan.removed] == [second.sha256]
    labels = {path: found[0] for path, found in corrected(folder).items()}
    assert labels == {f"@corrected/{first.file}": "golden"}
    assert not (folder / "images/@corrected" / second.file).exists()


def test_nothing_goes_because_the_corrections_are_not_there(folder, corrections, run):
    made = add(corrections, picture(100))
    run()
    shutil.rmtree(corrections.folder)
    assert not run().is_change
    assert list(corrected(folder)) == [f"@corrected/{made.file}"]


def test_a_lost_file_that_the_dataset_has_is_no_reason_to_drop_it(folder, corrections, run):
    made = add(corrections, picture(100))
    run()
    corrections.path(made).unlink()
    assert run().there == (made,)


@pytest.mark.parametrize(
    ("content", "label", "reason"),
    [
        (picture(2), "ruby", "the same file as beetles/golden/2.png, on which models are tested"),
        (picture(12, "JPEG"), "golden", "nearly the same as beetles/ruby/2.png (0 differing bits)"),
        (
            picture(0),
            "ruby",
            "golden/0.png, a training image of 'golden'; to change that, move",
        ),
        (picture(100), "emerald", "has no class 'emerald' of beetle any more"),
    ],
)
def test_what_may_not_train_is_refused_with_the_reason(
    folder, corrections, run, content, label, reason
):
    before = sha256_folder(folder)
    add(corrections, content, label)
    plan = run()
    assert reason in plan.refused[0].reason
    assert not plan.is_change
    assert sha256_folder(folder) == before


@pytest.mark.parametrize(("damage", "reason"), [
    (lambda path: path.unlink(), "No such file"),
    (lambda path: path.write_bytes(b"text"), "not a readable image"),
    (lambda path: path.write_bytes(picture(102)), "is not the one that was corrected"),
])  # fmt: skip
def test_a_file_that_is_not_what_was_corrected_is_refused(corrections, run, damage, reason):
    damage(corrections.path(add(corrections, picture(100))))
    assert reason in run().refused[0].reason


def test_a_test_image_of_another_dataset_of_the_run_is_refused(corrections, run):
    made = add(corrections, picture(100))
    other = ImageRecord("w/a.png", "w", "bird", "elm", None, made.sha256, "f" * 16, "test")
    (refused,) = run(images=[other]).refused
    assert "same file as w/a.png, on which models are tested" in refused.reason


def test_a_near_copy_of_an_image_that_the_run_validates_on_is_refused(corrections, run):
    add(corrections, picture(1, "JPEG"))  # of golden/1.png, official training image
    reason = run(evaluated={"beetles/golden/1.png"}).refused[0].reason
    assert "nearly the same as beetles/golden/1.png (0 differing bits)" in reason
    assert len(run().added) == 1


def test_a_test_image_of_another_own_dataset_is_refused_before_any_run(
    folder, corrections, run, tmp_path
):
    wasps = tmp_path / "own" / "wasps"
    shutil.copytree(folder, wasps)
    path = wasps / "images/golden/2.png"
    path.write_bytes(picture(200))
    add(corrections, picture(200))
    assert "as wasps/golden/2.png, on which models are tested" in (
        run(folders=[wasps]).refused[0].reason
    )


def test_one_that_was_given_to_another_dataset_goes_and_is_no_copy_for_that(
    folder, corrections, run, cache, tmp_path
):
    made = add(corrections, picture(100))
    run()
    wasps = tmp_path / "own" / "wasps"
    shutil.copytree(folder, wasps, ignore=shutil.ignore_patterns("@corrected"))
    rows = [line for line in (folder / "index.jsonl").read_text().splitlines(True)
            if "@corrected" not in line]  # fmt: skip
    (wasps / "index.jsonl").write_text("".join(rows))
    corrections.add(picture(100), ("wasps", "beetle", "ruby"), None, "engine:abc", "me")
    kept = ImageRecord(
        f"beetles/@corrected/{made.file}", "beetles", "beetle", "ruby", None, made.sha256,
        "f" * 16, "train",
    )  # fmt: skip
    plan = plan_improvement(wasps, corrections, Surroundings([kept]), cache, 1)
    assert [item.sha256 for item in plan.added] == [made.sha256]
    assert [row.sha256 for row in run().removed] == [made.sha256]


def test_what_is_refused_later_stays_in_the_dataset(folder, corrections, run):
    made = add(corrections, picture(100))
    run()
    add(corrections, picture(100), "emerald")
    plan = run()
    assert "no class 'emerald'" in plan.refused[0].reason
    assert not plan.is_change
    assert (folder / "images/@corrected" / made.file).read_bytes() == picture(100)


def test_what_is_found_to_leak_later_goes_under_its_own_word(folder, corrections, run):
    made = add(corrections, picture(100))
    run()
    other = ImageRecord("w/a.png", "w", "bird", "elm", None, made.sha256, "f" * 16, "test")
    plan = run(images=[other])
    assert [row.sha256 for row in plan.leaking] == [made.sha256]
    assert (plan.removed, corrected(folder)) == ((), {})


def test_the_datasets_good_copy_counts_and_a_damaged_one_is_mended(folder, corrections, run):
    made = add(corrections, picture(100))
    run()
    copy = folder / "images/@corrected" / made.file
    copy.write_bytes(b"half")
    assert run().there == (made,)
    assert copy.read_bytes() == picture(100)
    corrections.path(made).write_bytes(b"half")
    assert run().there == (made,)
    assert copy.read_bytes() == picture(100)


def test_corrections_of_another_dataset_are_left_alone(folder, corrections, run):
    corrections.add(picture(100), ("wasps", "wasp", "ruby"), None, "engine:abc", "me")
    plan = run()
    assert (plan.added, plan.refused) == ((), ())


def test_a_kill_before_the_index_is_written_loses_nothing(folder, corrections, run, monkeypatch):
    made, before = add(corrections, picture(100)), (folder / "index.jsonl").read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(improvement, "write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert (folder / "index.jsonl").read_bytes() == before
    assert run().added == (made,)
    assert list(corrected(folder)) == [f"@corrected/{made.file}"]


def test_what_a_killed_call_left_is_cleared(folder, corrections, run):
    run()
    left = folder / "images/@corrected/.x.jpg.part"
    left.parent.mkdir()
    left.write_bytes(b"half")
    run()
    assert not left.exists()
