import csv
import json
import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from finer1.asking import Asking, write_asking
from flows.cli import app
from flows.predicting import find_images

NAMES = "ash wren\nelm wren\n\n"


@pytest.fixture(scope="module")
def model(tiny_model, tmp_path_factory):
    """A tiny model's folder that says how it is asked."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).symlink_to(path)
    asking = Asking("trained", "", ("bird", "car"), max_tokens=4, temperature=1.0, top_p=0.99)
    write_asking(folder, asking)
    return folder


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder with two pictures below, a broken file, and what is no image by its name."""
    monkeypatch.chdir(tmp_path)
    for place, colour in (("a/1.png", "red"), ("b/2.png", "blue")):
        path = tmp_path / "photos" / place
        path.parent.mkdir(parents=True)
        Image.new("RGB", (40, 40), colour).save(path)
    (tmp_path / "photos/b/0.jpg").write_text("no image")
    (tmp_path / "photos/notes.txt").write_text("none by its name")
    (tmp_path / "names.txt").write_text(NAMES)
    return tmp_path


def predict(model, *words):
    words = ["predict", *words, "--model", str(model), "--device", "cpu"]
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, ValueError):
        raise result.exception
    return result


def test_a_folder_gives_a_row_per_image_and_goes_on_where_it_was(model, pictures):
    words = ("photos", "--category", "bird", "--candidates", "names.txt", "--out", "rows.jsonl")
    result = predict(model, *words)
    assert (result.exit_code, "0 of 3 images were there" in result.output) == (2, True)
    path = pictures / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["image"] for row in rows] == ["photos/a/1.png", "photos/b/0.jpg", "photos/b/2.png"]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert rows[0]["question"] == "What kind of bird is this?\nOptions: ash wren; elm wren."
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b'{"image"') + 20])  # a kill in the last row
    again = predict(model, *words)
    assert "2 of 3 images were there" in again.output
    assert (again.exit_code, "failed    1" in again.output) == (2, True)
    assert path.read_bytes() == whole


def test_a_file_that_is_named_twice_gives_one_row_and_a_name_need_not_be_utf_8(model, pictures):
    odd = b"photos/\xff.png"
    shutil.copy("photos/a/1.png", odd)
    words = ("photos/a/1.png", "photos", "--category", "bird", "--out", "rows.jsonl")
    assert "1 of 5 images were there" in predict(model, *words).output
    rows = [json.loads(line) for line in (pictures / "rows.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows][-1] == "photos/\\udcff.png"


def test_rows_of_csv_have_the_votes(model, pictures):
    words = ("photos/a/1.png", "--category", "car", "--votes", "2", "--out", "rows.csv")
    assert predict(model, *words).exit_code == 0
    (row,) = csv.DictReader((pictures / "rows.csv").open())
    assert row["question"] == "What kind of car is this?"
    assert row["sampling"] == "greedy, 2 at temperature 1 and top-p 0.99, up to 4 tokens"


def test_text_and_json_are_printed(model, pictures):
    told = predict(model, "photos/a/1.png", "--category", "bird")
    assert told.stdout.startswith("photos/a/1.png\n  answer      ")
    told = predict(model, "photos/a/1.png", "--category", "bird", "--format", "jsonl")
    assert json.loads(told.stdout)["image"] == "photos/a/1.png"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone.png", "--category", "bird"], "gone.png is not there"),
        (["photos/a/1.png"], "the model was trained on bird, car"),
        (["photos/a/1.png", "--out", "rows.txt"], "ends in .jsonl or .csv"),
        (["photos/a/1.png", "--out", "rows.csv", "--format", "jsonl"], "ends in .jsonl or .csv"),
        (["photos/a/1.png", "--candidates", "one.txt"], "write two or more"),
    ],
)
def test_what_is_wrong_is_said_before_the_model_is_loaded(model, pictures, words, said):
    (pictures / "one.txt").write_text("ash wren\n")
    with pytest.raises(ValueError, match=said):
        predict(model, *words)


def test_a_folder_without_images_and_no_model_are_refused(pictures):
    (pictures / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no image"):
        list(find_images([pictures / "empty"]))
    result = CliRunner().invoke(app, ["predict", "photos"])
    assert "name the model with --model FOLDER" in str(result.exception)
