"""Stage `cot` with the rationales of the release."""

import csv
import io
import json
import logging
from dataclasses import replace

import pytest
from PIL import Image

from finer1.engines.template import TemplateEngine
from finer1.images import write_archive
from finer1.records import (
    Concepts,
    ImageRecord,
    Rationale,
    SplitRecord,
    read_jsonl,
    write_jsonl,
)
from finer1.reference.release import RATIONALES
from tasks.cot import cot
from tasks.sft import completion

RELEASED = {"a.jpg": "American Crow", "b.jpg": "Fish Crow", "z.jpg": "Common Raven"}
PARTS = {"a.jpg": "sft", "b.jpg": "tapo", "c.jpg": "sft"}

pytestmark = pytest.mark.usefixtures("any_release")


@pytest.fixture
def stage(make_context, monkeypatch):
    """A context over two SFT images, one of them in the release; no engine may be asked."""

    def refuse(*_):
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(TemplateEngine, "generate", refuse)
    context = make_context("cot", {"cot.source": "released", "cot.engine": "template"})
    paths = context.params.paths
    labels = RELEASED | {"c.jpg": "Rook"}
    rows = []
    for name, part in PARTS.items():
        image = ImageRecord(
            id=f"bird/{name}",
            dataset="bird",
            category="bird",
            label=labels[name],
            group=None,
            sha256="0" * 64,
            phash="0" * 16,
            official="train",
        )
        rows.append(SplitRecord(image=image, seen=True, part=part))
    write_jsonl(paths.splits, rows)
    write_jsonl(
        paths.concepts,
        [Concepts(row.image.id, row.image.label, ("x",), ("y",), (1.0,)) for row in rows],
    )
    with io.BytesIO() as picture:
        Image.new("RGB", (8, 8)).save(picture, "PNG")
        write_archive(paths.images / "bird.zip", [(name, picture.getvalue()) for name in PARTS])
    write_release(context.home / paths.released)
    return context


def write_release(folder, released=RELEASED):
    items = [
        {
            "messages": [
                {"role": "user", "content": "<image>Which bird?"},
                {"role": "assistant", "content": text(answer)},
            ],
            "images": [f"bird_200/images_train/x/{name}"],
        }
        for name, answer in released.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RATIONALES).write_text(json.dumps(items))


def text(answer):
    return f"<think>Black. The prediction is: {answer}</think>\n\n<answer>{answer}</answer>"


def test_images_of_the_release_get_its_completion(stage):
    cot(stage)
    (row,) = read_jsonl(stage.params.paths.rationales, Rationale)
    assert (row.image_id, row.completion) == ("bird/a.jpg", text("American Crow"))
    assert completion(row, "rationale") == text("American Crow")
    assert completion(row, "answer") == "<answer>American Crow</answer>"


def test_what_does_not_join_is_counted_and_logged(stage, caplog):
    with caplog.at_level(logging.WARNING):
        metrics = cot(stage)
    assert (metrics["cot/asked"], metrics["cot/kept"], metrics["cot/samples"]) == (2, 1, 1)
    assert metrics["cot/rejected_not_in_release"] == 1
    assert metrics["cot/released_unjoined"] == 1  # z.jpg
    assert metrics["cot/released_not_sft"] == 1  # b.jpg
    assert metrics["cot/released_without_options"] == 2
    # "<think>Black. The prediction is: American Crow": 6 words
    assert metrics["cot/words_mean"] == 6
    assert (
        "1 released rationales are about no training image with a part in this split: bird_200/"
        in caplog.text
    )
    assert "1 of 2 seen sub-categories have no rationale: Rook; set split.sft_images" in caplog.text


def test_yield_has_the_reasons_of_the_release(stage):
    cot(stage)
    with stage.params.paths.cot_yield.open() as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert (rows["Rook"]["kept"], rows["Rook"]["not_in_release"]) == ("0", "1")
    assert rows["American Crow"]["kept"] == "1"


def test_total_of_released_rationales_is_refused(stage):
    settings = stage.params.cot.model_copy(update={"total": 1})
    context = replace(stage, params=stage.params.model_copy(update={"cot": settings}))
    with pytest.raises(
        ValueError, match="cot.total counts what the teacher writes; set it to null"
    ):
        cot(context)


def test_no_image_of_the_release_is_refused_with_the_setting(stage):
    write_release(stage.home / stage.params.paths.released, {"b.jpg": "Fish Crow"})
    with pytest.raises(ValueError, match="none of the 2 .* set split.sft_images to released"):
        cot(stage)
