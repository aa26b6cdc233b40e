import json

import pytest
from huggingface_hub import DatasetCard

from finer1.export.rationales import RationaleFacts, check_images, dataset_card, write_rationales
from finer1.records import ImageRecord, Rationale
from finer1.teacher.yields import ClassYield

CONTENT = b"bytes of a picture"


def facts_of(dataset):
    image = ImageRecord(
        f"{dataset}/a/1.PNG", dataset, "bird", "ash wren", None, "5e" * 32, "0" * 16, "train"
    )
    row = Rationale(
        *("cot/1", image.id, "bird", "ash wren", "What bird is this?", "red"),
        *(("ash wren", "elm wren"), "one is red", "ash wren", 2, "oracle"),
    )
    return RationaleFacts(
        name="birds",
        licence="cc-by-4.0",
        rationales=[row],
        images={image.id: image},
        yields={image.class_key: ClassYield(asked=3, kept=1, samples=7)},
        filters=[("cot.filter", "True")],
        audit=[("teacher", "oracle (1)")],
        identity=[("commit", "0123abc")],
    )


def write(folder, facts, with_images=False):
    write_rationales(
        folder, facts, lambda row: f"<answer>{row.label}</answer>",
        (lambda image_id: CONTENT) if with_images else None,
    )  # fmt: skip


def test_rows_name_images_by_their_hash_and_have_the_text_that_is_learnt(tmp_path):
    write(tmp_path, facts_of("bird"))
    (row,) = map(json.loads, (tmp_path / "data/train.jsonl").read_text().splitlines())
    assert (row["image_id"], row["image_sha256"]) == ("bird/a/1.PNG", "5e" * 32)
    assert (row["completion"], row["options"]) == (
        "<answer>ash wren</answer>",
        ["ash wren", "elm wren"],
    )
    assert (row["teacher"], row["attempts"]) == ("oracle", 2)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "train.jsonl", "README.md"
    }  # fmt: skip


def test_images_go_along_where_they_may(tmp_path):
    write(tmp_path, facts_of("world"), with_images=True)
    (row,) = map(json.loads, (tmp_path / "data/train/metadata.jsonl").read_text().splitlines())
    assert row["file_name"] == f"{'5e' * 32}.png"
    assert (tmp_path / "data/train" / row["file_name"]).read_bytes() == CONTENT


def test_images_whose_terms_forbid_it_do_not():
    check_images(["world"], are_mine=False)
    for are_mine in (False, True):
        with pytest.raises(
            ValueError, match=r"images of bird \(CUB-200-2011.*may not be passed on"
        ):
            check_images(["world", "bird"], are_mine)


def test_of_images_of_ones_own_the_owner_says_so():
    with pytest.raises(ValueError, match="of shells are for their owner.*--images-are-mine"):
        check_images(["shells"], are_mine=False)
    check_images(["shells"], are_mine=True)


def test_the_card_says_what_the_hub_reads_and_parts_the_licences():
    card = DatasetCard(dataset_card(facts_of("bird"), has_images=False))
    known = card.data.to_dict()
    assert known["task_categories"] == ["image-text-to-text", "visual-question-answering"]
    assert (known["size_categories"], known["license"]) == ("n<1K", "cc-by-4.0")
    (config,) = known["configs"]
    assert config["data_files"] == [{"split": "train", "path": "data/train.jsonl"}]
    assert "Text: cc-by-4.0." in card.text
    assert "- bird: CUB-200-2011: for non-commercial research" in card.text
    assert "| bird | bird | ash wren | 3 | 7 | 1 |" in card.text
    assert "- 1 kept for 3 images asked about, from 7 samples" in card.text


def test_a_licence_that_was_not_stated_is_not_made_up():
    from dataclasses import replace

    card = DatasetCard(dataset_card(replace(facts_of("bird"), licence=None), has_images=False))
    assert "license" not in card.data.to_dict()
    assert "Text: none was stated" in card.text


@pytest.mark.slow
@pytest.mark.parametrize("with_images", [False, True])
def test_datasets_loads_what_was_written(tmp_path, monkeypatch, with_images):
    import io

    from datasets import load_dataset
    from PIL import Image

    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    facts = facts_of("world")
    write_rationales(
        tmp_path / "out", facts, lambda row: "x",
        (lambda image_id: buffer.getvalue()) if with_images else None,
    )  # fmt: skip
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows[0]["label"] == "ash wren"
    assert rows[0]["options"] == ["ash wren", "elm wren"]
    assert ("image" in rows.column_names) is with_images
