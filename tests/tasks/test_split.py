"""The stage split on written indexes, and the checks before sft and tapo train."""

import json
from dataclasses import replace

import pytest

from finer1.records import (
    ImageRecord,
    Rationale,
    SplitRecord,
    Triplet,
    read_jsonl,
    write_jsonl,
)
from finer1.reference.release import RATIONALES
from tasks.sft import train as sft
from tasks.split import split
from tasks.tapo import train as tapo

pytestmark = pytest.mark.usefixtures("any_release")


def images(dataset="own", classes=5, train=6, test=2):
    """Hashes differ by at least 32 bits between images, so that none looks like another."""
    return [
        ImageRecord(
            id=f"{dataset}/{label}/{number}.png",
            dataset=dataset,
            category="beetle",
            label=f"beetle {label}",
            group=None,
            sha256=f"{dataset} {label} {number}",
            phash=f"{place * 0x9E3779B97F4A7C15 % 2**64:016x}",
            official="train" if number < train else "test",
        )
        for place, (label, number) in enumerate(
            (label, number) for label in range(classes) for number in range(train + test)
        )
    ]


@pytest.fixture
def run(make_context):
    """Run the stage on an index with changes; returns metrics and rows."""

    def run(records, **changes):
        named = {key.replace("__", "."): value for key, value in changes.items()}
        context = make_context("split", named)
        write_jsonl(context.params.paths.index, records)
        metrics = split(context)
        return metrics, read_jsonl(context.params.paths.splits, SplitRecord)

    return run


def test_corrections_change_tapo_alone(run):
    """Of one class, more than its shots; and of every class one."""
    given = images(train=9)
    corrected = [
        replace(item, id=f"own/@corrected/{place}.png", sha256=f"c{place}", phash="f" * 16)
        for place, item in enumerate([*(i for i in given if i.id.endswith("/0.png")), *given[:9]])
    ]
    metrics, before = run(given)
    assert metrics["split/corrected"] == 0
    metrics, after = run([*given, *corrected])
    assert metrics["split/corrected"] > 0

    def parts(rows, *wanted):
        return [(row.image.id, row.part) for row in rows if row.part in wanted]

    others = ("sft", "validation", "test")
    assert parts(after, *others) == parts(before, *others)
    assert len(parts(after, "tapo")) == len(parts(before, "tapo"))
    assert parts(after, "tapo") != parts(before, "tapo")
    assert all(row.seen for row in after if "@corrected" in row.image.id)


def find(rows, part):
    return next(row.image for row in rows if row.part == part and row.seen)


def test_what_is_apart_is_recorded(run):
    metrics, _ = run(images())
    # Three of five classes are seen: five of six images train, one is left for validation.
    assert metrics["split/training_images"] == 15
    assert metrics["split/evaluation_images"] == 3 + 12 + 10
    assert metrics["split/checked_images"] == 40
    assert metrics["split/checked_classes"] == 5
    zeros = ("overlap_images", "duplicates", "near_duplicates_truncated", "unused")
    assert all(metrics[f"split/{name}"] == 0 for name in zeros)


def test_overlap_is_counted_by_image_and_by_part(run):
    metrics, rows = run(images(train=4), split__overlap=True)
    # Each seen class of four: one for SFT, all four for TAPO.
    assert (metrics["split/sft"], metrics["split/tapo"]) == (3, 12)
    assert metrics["split/training_images"] == 12
    assert metrics["split/overlap_images"] == metrics["split/overlap_classes"] == 3
    assert metrics["split/unused"] == 0
    assert len(rows) == len({row.image.id for row in rows}) + 3


def with_copy(run, dataset, **changes):
    """The records, a test image having the bytes of a TAPO image of its own class."""
    _, rows = run(images(dataset), **changes)
    trained = find(rows, "tapo")
    tested = next(r.image for r in rows if r.part == "test" and r.image.label == trained.label)
    return [
        replace(record, sha256=trained.sha256, phash=trained.phash)
        if record.id == tested.id
        else record
        for record in images(dataset)
    ]


@pytest.mark.parametrize("changes", [{}, {"download__bird__subset": True}])
@pytest.mark.parametrize("dataset", ["own", "bird"])
def test_equal_files_are_refused_with_the_setting(run, dataset, changes):
    words = r"\(test, .* is the same file as .*; remove one of them, or set download\.duplicates to"
    with pytest.raises(ValueError, match=words):
        run(with_copy(run, dataset), **changes)


@pytest.mark.parametrize("dataset", ["own", "bird"])
def test_equal_files_may_be_counted(run, dataset, caplog):
    metrics, _ = run(with_copy(run, dataset), download__duplicates="count")
    assert caplog.text.count("is the same file as") == 1
    assert metrics["split/duplicates"] == 1
    assert metrics["split/duplicates_trained_and_evaluated"] == 1
    assert metrics["split/near_duplicates_test"] == 0  # equal ones are no near ones


def test_equal_files_of_two_datasets_may_be_counted(run):
    records = [*images("bird"), *images("own")]
    records[-1] = replace(records[-1], sha256=records[0].sha256)
    with pytest.raises(ValueError, match=r"bird/0/0\.png .*; remove one of them, or set"):
        run(records)
    metrics, _ = run(records, download__duplicates="count")
    assert metrics["split/duplicates"] == 1


def test_a_search_of_look_alikes_that_stops_is_told(run, monkeypatch, caplog):
    monkeypatch.setattr("finer1.inspection.near_pairs.MOST_PAIRS", 4)
    monkeypatch.setattr("tasks.split.MOST_PAIRS", 4)
    metrics, _ = run([replace(record, phash="0" * 16) for record in images()])
    assert metrics["split/near_duplicates_truncated"] == 1
    assert metrics["split/near_duplicates_test"] + metrics["split/near_duplicates_validation"] == 4
    assert "at least 4 pairs of a training and an evaluated image look alike" in caplog.text


def test_look_alikes_of_training_and_evaluation_are_told(run, logged):
    _, rows = run(images())
    trained, tested, left = (find(rows, part) for part in ("sft", "test", "validation"))
    hashes = {
        tested.id: f"{int(trained.phash, 16) ^ 0b11:016x}",
        left.id: f"{int(trained.phash, 16) ^ 0b1:016x}",
    }
    changed = [replace(r, phash=hashes.get(r.id, r.phash)) for r in images()]
    metrics, _ = run(changed)
    assert metrics["split/near_duplicates_test"] == 1
    assert metrics["split/near_duplicates_validation"] == 1
    # The test and the validation image look alike too, but neither is trained on.
    assert [(row["trained on"], row["evaluated"], row["distance"])
            for row in logged.tables["near_duplicates"]] == [
        (trained.id, left.id, 1), (trained.id, tested.id, 2)
    ]  # fmt: skip


def release(folder, *paths):
    """Write rationales about these released paths, in the released form."""
    items = [
        {
            "messages": [
                {"role": "user", "content": "<image>What bird is this?"},
                {"role": "assistant", "content": "<think>red</think>\n<answer>a</answer>"},
            ],
            "images": [path],
        }
        for path in paths
    ]
    folder.mkdir(parents=True)
    (folder / RATIONALES).write_text(json.dumps(items))


def test_released_images_come_first(run, tmp_path, caplog):
    records = [replace(r, id=r.id.replace("/", "_").replace("_", "/", 1)) for r in images("bird")]
    _, rows = run(records)
    first, second = [row.image for row in rows if row.part == "tapo" and row.seen][::4][:2]
    names = [image.id.removeprefix("bird/") for image in (first, second)]
    paths = [f"bird_200/images_train/x/{name}" for name in (*names, "gone.png")]
    release(tmp_path / "data/released", *paths)
    metrics, rows = run(records, split__sft_images="released")
    assert {first.id, second.id} < {row.image.id for row in rows if row.part == "sft"}
    assert (metrics["split/sft"], metrics["split/sft_released"]) == (3, 2)
    assert metrics["split/sft_released_validation"] == 0
    assert (
        "split.sft_images: 1 released rationales are about no training image at hand: bird_200/"
        in caplog.text
    )


def test_released_images_of_other_datasets_are_refused(run, tmp_path):
    release(tmp_path / "data/released", "dogs_120/image_train/train/x/1.jpg")
    with pytest.raises(ValueError, match=r"split\.sft_images: no released rationale is about a"):
        run(images("bird"), split__sft_images="released")


def test_a_name_seen_in_another_dataset_is_told(run, caplog):
    metrics, rows = run([*images("a", classes=10), *images("b", classes=10)])
    seen = {(row.image.dataset, row.image.label) for row in rows if row.seen}
    both = sum(
        (other, label) not in seen for dataset, label in seen for other in {"a", "b"} - {dataset}
    )
    assert metrics["split/unseen_seen_elsewhere"] == both > 0
    assert caplog.text.count("but a seen sub-category of another dataset has its name") == both


@pytest.fixture
def trained(run, make_context):
    """A split with rationales and triplets about its images; returns a context, its rows."""
    _, rows = run(images())
    context = make_context("sft")
    by_label = {}
    for row in rows:
        if row.seen and row.part in ("sft", "tapo"):
            by_label.setdefault(row.image.label, []).append(row)
    rationales, triplets = [], []
    for label, own in by_label.items():
        other = next(name for name in by_label if name != label)
        (first,) = (row.image for row in own if row.part == "sft")
        tapo_images = [row.image.id for row in own if row.part == "tapo"]
        negatives = tuple(row.image.id for row in by_label[other] if row.part == "tapo")
        rationales.append(
            Rationale(f"cot/{first.id}", first.id, "beetle", label, "?", "a", (label,), "c", label,
                      1, "t")
        )  # fmt: skip
        triplets += [
            Triplet(name, label, "beetle", tuple(set(tapo_images) - {name}), other, negatives,
                    0.5, "e", "0")
            for name in tapo_images
        ]  # fmt: skip
    write_jsonl(context.params.paths.reviewed, rationales)
    write_jsonl(context.params.paths.triplets, triplets)
    return context, rows


def change(path, **values):
    """Change fields of the first row of a file."""
    first, *others = path.read_text(encoding="utf-8").splitlines()
    lines = [json.dumps(json.loads(first) | values), *others]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_rationale_about_a_test_image_is_refused_before_training(trained):
    context, rows = trained
    change(context.params.paths.reviewed, image_id=find(rows, "test").id)
    with pytest.raises(
        ValueError, match=r"reviewed.*\.png is no image of part sft, and no free one; run"
    ):
        sft(context)


def test_a_test_image_in_a_triplet_is_refused_before_training(trained):
    context, rows = trained
    change(context.params.paths.triplets, positives=[find(rows, "test").id])
    with pytest.raises(ValueError, match=r"\.png is no seen training image of part tapo; run"):
        tapo(context)


def test_an_unseen_image_in_a_triplet_is_refused_before_training(trained):
    context, rows = trained
    unseen = next(row for row in rows if not row.seen)
    rows[rows.index(unseen)] = replace(unseen, part="tapo")
    write_jsonl(context.params.paths.splits, rows)
    change(context.params.paths.triplets, positives=[unseen.image.id])
    with pytest.raises(ValueError, match=r"\.png is no seen training image of part tapo; run"):
        tapo(context)
