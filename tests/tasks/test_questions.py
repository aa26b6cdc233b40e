"""The stage `questions`: built ones by each source, and the released ones."""

import io
import json

import pytest
from PIL import Image

from finer1.files import sha256_file
from finer1.images import write_archive
from finer1.records import ImageRecord, Question, SplitRecord, read_jsonl, write_jsonl
from finer1.reference.classes import released_classes
from tasks.questions import questions

LABELS = ("ash wren", "elm wren", "oak wren", "reed tern", "sand tern")

pytestmark = pytest.mark.usefixtures("any_release")


@pytest.fixture
def splits(make_context):
    """Archive and splits: a test image and an SFT one per sub-category; the SFT ones have no
    content, so that nobody reads them."""
    paths = make_context("questions").params.paths
    members, rows = [], []
    for place, label in enumerate(LABELS):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 36), (50 * place, 255 - 50 * place, 90)).save(buffer, "PNG")
        members.append((f"{label}/0.png", buffer.getvalue()))
        for number, part in enumerate(("test", "sft")):
            record = ImageRecord(
                f"w/{label}/{number}.png", "w", "bird", label, label.split()[1],
                f"{place}{number}".rjust(64, "0"), "0" * 16, "test",
            )  # fmt: skip
            rows.append(SplitRecord(record, seen=place < 3, part=part))
    write_archive(paths.images / "w.zip", members)
    write_jsonl(paths.splits, rows)
    return rows


@pytest.fixture
def run(make_context):
    """Run the stage with changed settings; metrics and questions."""

    def run(**changes):
        context = make_context(
            "questions", {f"questions.{key}": value for key, value in changes.items()}
        )
        return questions(context), read_jsonl(context.params.paths.questions, Question)

    return run


def test_built_questions_need_no_image(run, splits, make_context):
    (make_context("questions").params.paths.images / "w.zip").unlink()
    metrics, asked = run()
    assert metrics["questions/count"] == len(asked) == 10


def test_clip_options_say_whose_they_are(run, splits, tiny_clip):
    name = f"open_clip:{tiny_clip}"
    metrics, asked = run(options="clip", encoder=name)
    closed = [item for item in asked if item.setting == "closed"]
    (source,) = {item.source for item in closed}
    assert source.startswith(f"clip:{name}@")
    assert len(source) == len(f"clip:{name}@") + 12
    assert all(item.label in item.options and len(set(item.options)) == 4 for item in closed)
    assert metrics["questions/options_from_clip"] == 5


def test_clip_options_are_the_same_again(run, splits, tiny_clip):
    name = f"open_clip:{tiny_clip}"
    assert run(options="clip", encoder=name) == run(options="clip", encoder=name)


def test_clip_needs_a_text_tower(run, splits):
    with pytest.raises(ValueError, match="'base_model' has no text tower"):
        run(options="clip", encoder="base_model")


@pytest.fixture
def released(make_context):
    """Two test images of released birds, one of which the released files ask about."""
    paths = make_context("questions").params.paths
    seen, unseen = (
        next(label for label, is_seen in released_classes("bird").items() if is_seen is wanted)
        for wanted in (True, False)
    )
    rows = [
        SplitRecord(
            ImageRecord(
                f"bird/images/001.X/{name}.jpg", "bird", "bird", label, None,
                f"{place}".rjust(64, "0"), "0" * 16, "test",
            ),
            seen=label == seen,
            part="test",
        )
        for place, (name, label) in enumerate((("A_1", seen), ("A_2", unseen)))
    ]  # fmt: skip
    write_jsonl(paths.splits, rows)
    asked = [
        {
            "image_path": f"bird_200/images/001.X/{name}.jpg", "question": "What bird?",
            "options": [seen, "b", "c", "d"], "ground_truth": seen,
        }
        for name in ("A_1", "A_9")
    ]  # fmt: skip
    paths.released.mkdir(parents=True)
    text = "".join(f"{json.dumps(item)}\n" for item in asked)
    (paths.released / "bird_seen.jsonl").write_text(text)
    (paths.released / "bird_unseen.jsonl").write_text("")
    return seen


def test_released_questions_are_asked_as_they_are(run, released, logged):
    metrics, asked = run(source="released", order="stored")
    assert [item.text for item in asked] == ["What bird?", "What bird?"]
    assert asked[0].options == (released, "b", "c", "d")
    assert metrics["questions/options_from_released"] == 1


def test_what_does_not_join_is_counted_and_listed(run, released, logged):
    metrics, _ = run(source="released", order="stored")
    assert metrics["questions/image_not_at_hand"] == 1
    assert metrics["questions/no_released_question"] == 1
    assert [row["reason"] for row in logged.tables["unjoined"]] == [
        "image not at hand",
        "no released question",
    ]


def test_foci_takes_the_released_options_in_our_words_and_order(run, released, logged):
    metrics, asked = run(options="foci")
    closed, opened = asked
    assert (closed.source, sorted(closed.options)) == ("foci", sorted([released, "b", "c", "d"]))
    assert "bird" in closed.text != "What bird?"
    assert opened.options == ()
    assert metrics["questions/options_from_foci"] == 1


def test_fewer_foci_options_keep_the_likeliest(run, released):
    _, asked = run(options="foci", num_options=2)
    assert set(asked[0].options) == {released, "b"}


def test_images_without_released_options_are_left_out_and_counted(run, released, logged, caplog):
    metrics, _ = run(options="foci")
    assert metrics["questions/no_released_options"] == 1
    assert "1 test images have no released options and are left out" in caplog.text
    assert logged.tables["unjoined"] == [
        {"reason": "no released options", "image": "bird/images/001.X/A_2.jpg"}
    ]


def test_foci_needs_a_released_dataset(run, splits):
    with pytest.raises(ValueError, match="no released options for the dataset w; set it to sibl"):
        run(options="foci")


def test_the_hash_of_the_questions_is_logged(run, splits, logged, make_context):
    run()
    (row,) = logged.tables["questions_file"]
    assert row["questions"] == 10
    assert row["sha256"] == sha256_file(make_context("questions").params.paths.questions)
