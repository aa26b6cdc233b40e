"""The run's questions as tasks of lmms-eval."""

import io
from dataclasses import replace

import pyarrow.parquet
import pytest
import yaml
from PIL import Image

from finer1.general.task_folder import task_name, write_task_folder
from finer1.images import ImageArchive, decode, write_archive
from finer1.records import Question


def _png(mode, colour):
    buffer = io.BytesIO()
    Image.new(mode, (16, 12), colour).save(buffer, "PNG")
    return buffer.getvalue()


PLAIN, GREY = _png("RGB", "red"), _png("L", 7)
OPTIONS = ("Black Tern", "Least Tern")
CLOSED = Question(
    "closed/bird/a.png", "bird/a.png", "bird", "Black Tern", True, "closed", "What?", OPTIONS, "x"
)
OPEN = Question("open/my-set/b", "my-set/b", "bird", "Least Tern", False, "open", "What?", (), "x")


@pytest.fixture
def written(tmp_path):
    write_archive(tmp_path / "images/bird.zip", [("a.png", PLAIN)])
    write_archive(tmp_path / "images/my-set.zip", [("b", GREY)])
    folder = tmp_path / "tasks"
    counts = write_task_folder(
        [CLOSED, OPEN], ImageArchive(tmp_path / "images"), "Think.", 99, folder
    )
    return folder, counts


def test_a_task_is_named_by_dataset_side_and_setting():
    assert task_name(CLOSED) == "finer1_bird_seen_closed"
    assert task_name(OPEN) == "finer1_my_set_unseen_open"


def test_each_task_has_its_questions(written):
    _, counts = written
    assert counts == {"finer1_bird_seen_closed": 1, "finer1_my_set_unseen_open": 1}


def test_a_row_asks_as_predict_does(written):
    folder, _ = written
    (row,) = pyarrow.parquet.read_table(folder / "finer1_bird_seen_closed.parquet").to_pylist()
    assert row["prompt"] == "What?\nOptions: Black Tern; Least Tern."
    assert row["system"] == "Think."
    assert row["label"] == "Black Tern"
    assert row["image"] == {"bytes": PLAIN, "path": None}


def test_a_picture_that_decoders_see_differently_is_written_as_ours(written):
    folder, _ = written
    (row,) = pyarrow.parquet.read_table(folder / "finer1_my_set_unseen_open.parquet").to_pylist()
    ours = decode(row["image"]["bytes"])
    assert ours.oddities == ()
    assert ours.image.tobytes() == decode(GREY).image.tobytes()


def test_the_reasoning_reaches_the_rule(written):
    folder, _ = written
    text = (folder / "finer1_bird_seen_closed.yaml").read_text().replace("!function ", "")
    task = yaml.safe_load(text)
    assert task["reasoning_tags"] == "none"
    assert task["generation_kwargs"]["max_new_tokens"] == 99
    assert task["dataset_kwargs"]["data_files"] == {"test": "finer1_bird_seen_closed.parquet"}


def test_the_group_is_all_tasks(written):
    folder, counts = written
    group = yaml.safe_load((folder / "finer1_all.yaml").read_text())
    assert group == {"group": "finer1_all", "task": sorted(counts)}


def test_a_task_of_an_earlier_export_goes(written, tmp_path):
    folder, _ = written
    (folder / "notes.txt").write_text("mine")
    write_task_folder([OPEN], ImageArchive(tmp_path / "images"), "", 9, folder)
    assert {path.name for path in folder.iterdir()} == {
        "finer1_all.yaml", "finer1_rule.py", "notes.txt",
        "finer1_my_set_unseen_open.parquet", "finer1_my_set_unseen_open.yaml",
    }  # fmt: skip


def test_two_datasets_of_one_task_are_refused(written, tmp_path):
    folder, _ = written
    other = replace(OPEN, id="open/my_set/b", image_id="my_set/b")
    with pytest.raises(ValueError, match="my-set and my_set would both be finer1_my_set_unseen_op"):
        write_task_folder([OPEN, other], ImageArchive(tmp_path / "images"), "", 9, folder)
    assert (folder / "finer1_bird_seen_closed.yaml").is_file()


def test_no_question_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match="run finer1 run questions first"):
        write_task_folder([], ImageArchive(tmp_path), "", 9, tmp_path / "tasks")
