"""`finer1 data export`: what it needs, and what it leaves alone."""

import io
import shlex

import pytest
from PIL import Image

from finer1.images import write_archive
from finer1.records import Question, write_jsonl
from flows.exporting import export_lmms_eval


@pytest.fixture
def exported_run(repository, tmp_path):
    """A folder with the settings, one question and its image."""
    (tmp_path / "params.yaml").write_text((repository / "params.yaml").read_text())
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(picture, "PNG")
    write_archive(tmp_path / "data/images/bird.zip", [("1.png", picture.getvalue())])
    row = Question("open/bird/1.png", "bird/1.png", "bird", "tern", True, "open", "What?", (), "x")
    write_jsonl(tmp_path / "data/questions.jsonl", [row])
    return tmp_path


def test_the_command_to_run_next_is_printed(exported_run, capsys):
    export_lmms_eval(exported_run, exported_run / "tasks")
    printed = capsys.readouterr().out
    assert "finer1_bird_seen_open" in printed
    assert f"python -m lmms_eval --include_path {exported_run}/tasks --tasks finer1_all" in printed


def test_an_export_replaces_an_earlier_one(exported_run):
    export_lmms_eval(exported_run, exported_run / "tasks")
    export_lmms_eval(exported_run, exported_run / "tasks")


def test_a_folder_with_other_files_is_left_alone(exported_run):
    with pytest.raises(ValueError, match="holds other files"):
        export_lmms_eval(exported_run, exported_run / "data")


def test_a_file_in_place_of_the_folder_is_refused(exported_run):
    with pytest.raises(ValueError, match=r"params\.yaml is a file; name a new"):
        export_lmms_eval(exported_run, exported_run / "params.yaml")


def test_the_printed_command_is_one_for_a_shell(exported_run, capsys):
    export_lmms_eval(exported_run, exported_run / "my tasks")
    command = capsys.readouterr().out.partition("python -m")[2].replace("\\\n", " ")
    words = shlex.split(command)
    assert words[words.index("--include_path") + 1] == f"{exported_run}/my tasks"


def test_a_run_without_questions_says_what_makes_them(exported_run):
    (exported_run / "data/questions.jsonl").unlink()
    with pytest.raises(ValueError, match=r"questions\.jsonl is not there; run finer1 run"):
        export_lmms_eval(exported_run, exported_run / "tasks")
