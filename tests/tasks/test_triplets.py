"""The stage `triplets` on drawn images, with the encoders that need no download."""

import io
import random
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw

from finer1.files import sha256_file
from finer1.images import write_archive
from finer1.records import ImageRecord, SplitRecord, Triplet, read_jsonl, write_jsonl
from tasks.triplets import mine

LABELS = {"elm wren": "wren", "oak wren": "wren", "reed tern": "tern", "sand tern": "tern"}


def drawing(label, number):
    """A blob in the colour of its group, striped in the way of its sub-category."""
    generator = random.Random(f"{label}{number}")
    image = Image.new("RGB", (40 + generator.randrange(9), 44), "white")
    pen = ImageDraw.Draw(image)
    red = 200 if LABELS[label] == "wren" else 20
    shift = generator.randrange(6)
    pen.ellipse([4 + shift, 6, 34 + shift, 40], (red, 60, 220 - red))
    for y in range(0, 44, 5 if label.startswith(("elm", "reed")) else 11):
        pen.line([(0, y), (48, y)], "black")
    return image


@pytest.fixture
def make_splits(make_context, tmp_path):
    """Write archive and splits: shots of part tapo per sub-category, the last one unseen."""

    def make(shots=3, both=False):
        paths = make_context("triplets").params.paths
        members, rows = [], []
        for label in LABELS:
            for number in range(shots + 2):
                buffer = io.BytesIO()
                drawing(label, number).save(buffer, "PNG")
                (tmp_path / "one.png").write_bytes(buffer.getvalue())
                record = ImageRecord(
                    f"w/{label}/{number}.png", "w", "bird", label, LABELS[label],
                    sha256_file(tmp_path / "one.png"), "0" * 16, "train",
                )  # fmt: skip
                members.append((f"{label}/{number}.png", buffer.getvalue()))
                seen = label != "sand tern"
                part = "validation" if not seen or number > shots else "sft"
                if seen and number < shots:
                    part = "tapo"
                rows.append(SplitRecord(record, seen, part))
                if both and part == "tapo":
                    rows.append(SplitRecord(record, seen, "sft"))
        write_archive(paths.images / "w.zip", members)
        write_jsonl(paths.splits, rows)
        return rows

    return make


@pytest.fixture
def run(make_context, tiny_model):
    """Run the stage with changes; metrics and triplets."""

    def run(**changes):
        named = {f"triplets.{key}": value for key, value in changes.items()}
        context = make_context("triplets", named | {"paths.base": str(tiny_model)})
        return mine(context), read_jsonl(context.params.paths.triplets, Triplet), context

    return run


def test_triplets_use_seen_tapo_images_only(run, make_splits):
    rows = make_splits()
    allowed = {row.image.id for row in rows if row.seen and row.part == "tapo"}
    metrics, mined, _ = run()
    assert {t.anchor for t in mined} == allowed
    assert all({*t.positives, *t.negatives} < allowed for t in mined)
    assert metrics["triplets/anchors"] == 9


def test_an_image_with_two_parts_is_one_anchor(run, make_splits):
    make_splits(both=True)
    _, mined, _ = run()
    assert len(mined) == 9


def test_a_triplet_names_encoder_and_hash(run, make_splits, tiny_clip):
    make_splits()
    name = f"open_clip:{tiny_clip}"
    _, mined, _ = run(encoder=name)
    assert {t.encoder for t in mined} == {name}
    assert len({t.encoder_sha256 for t in mined}) == 1


def test_the_sheet_goes_to_the_run_and_to_a_small_file(run, make_splits, logged):
    make_splits()
    _, _, context = run()
    path = context.params.paths.logs / "triplets.jpg"
    with Image.open(path) as sheet:
        assert sheet.size == logged.images["triplets"].size
    assert path.stat().st_size < 300_000


def test_agreement_with_the_baseline_is_logged(run, make_splits, logged):
    make_splits()
    metrics, *_ = run()
    assert {
        f"triplets/agreement_{name}"
        for name in ("nearest", "chance", "spearman", "in_group", "baseline_in_group")
    } <= set(metrics)
    assert metrics["triplets/agreement_chance"] == pytest.approx(1 / 2)  # three seen classes
    (row,) = logged.tables["agreement"]
    assert row["same_nearest"] == metrics["triplets/agreement_nearest"]
    # The colours tell wrens from terns.
    assert metrics["triplets/agreement_baseline_in_group"] == 1


def test_the_baseline_is_not_compared_with_itself(run, make_splits, logged):
    make_splits()
    metrics, *_ = run(encoder="colour_texture")
    assert not any("agreement" in name for name in metrics)
    assert "agreement" not in logged.tables


def test_a_lone_image_is_its_own_positive_and_counted(run, make_splits):
    make_splits(shots=1)
    metrics, mined, _ = run()
    assert all(t.positives == (t.anchor,) for t in mined)
    assert metrics["triplets/positives_augmented"] == 3


def test_classes_with_too_few_siblings_are_counted(run, make_splits):
    # Seen are two wrens and one tern.
    make_splits()
    metrics, mined, _ = run(negative="siblings", encoder="colour_texture")
    assert metrics["triplets/classes_with_too_few_siblings"] == 1
    assert {t.negative_label for t in mined if t.label == "elm wren"} == {"oak wren"}


def test_another_choice_computes_no_embedding_again(run, make_splits):
    make_splits()
    _, _, context = run()
    files = sorted(context.store.rglob("*.safetensors"))
    times = [path.stat().st_mtime_ns for path in files]
    run(negative="random")
    assert sorted(context.store.rglob("*.safetensors")) == files
    assert [path.stat().st_mtime_ns for path in files] == times
    assert len(files) == 2  # of the encoder and of the baseline


def test_splits_without_tapo_images_are_refused(run, make_splits, make_context):
    rows = [row for row in make_splits() if row.part != "tapo"]
    write_jsonl(make_context("triplets").params.paths.splits, rows)
    with pytest.raises(ValueError, match=r"no seen image of part tapo; raise split\.tapo_shots"):
        run()


def test_two_categories_may_share_a_label(run, make_splits, make_context):
    # Every second image of a sub-category is a fish of the same name.
    rows = make_splits(shots=4)
    fish = {row.image.id for row in rows if int(row.image.id[-5]) % 2}
    changed = [
        replace(row, image=replace(row.image, category="fish")) if row.image.id in fish else row
        for row in rows
    ]
    write_jsonl(make_context("triplets").params.paths.splits, changed)
    metrics, mined, _ = run()
    assert metrics["triplets/classes"] == 6  # three seen labels, twice
    for triplet in mined:
        ids = {triplet.anchor, *triplet.positives, *triplet.negatives}
        assert len(ids & fish) == (len(ids) if triplet.category == "fish" else 0)
