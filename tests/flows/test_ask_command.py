"""`finer1 ask` on sets drawn here, with the embedded base model and a CLIP model of ours."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from finer1.world.drawing import draw, png_bytes
from finer1.world.taxonomies import load_taxonomy
from flows.values import set_values
from tests.flows.test_cli import run_cli

BIRDS = load_taxonomy("embedded").by_category["bird"][:3]
OWN = """
title: Own
kind: server
model: own
commit: null
adapter: null
prompts: {closed: "Which of {options}?", open: "Name the {category}."}
answer_from: text
tried: {transformers: not tried}
notes: ""
"""


@pytest.fixture
def workplace(repository, tmp_path, monkeypatch):
    """A folder with params.yaml and a set of twelve drawn birds, by class and as a table."""
    monkeypatch.setenv("FINER1_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("FINER1_RESUME", raising=False)
    shutil.copy(repository / "params.yaml", tmp_path)
    set_values(
        tmp_path / "params.yaml",
        {
            "runtime.batch_size": 2,
            "runtime.threads": 1,
            "score.bootstrap_samples": 20,
            "score.encoder": "char_ngrams",
        },
    )
    rows = []
    for place, species in enumerate(BIRDS):
        for number in range(4):
            name = f"birds/{species.name}/{number}.png"
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png_bytes(draw("bird", species.values, 4 * place + number, 0.3), {}))
            rows.append(
                {
                    "image": name,
                    "question": "What bird is it?",
                    "answer": species.name,
                    "options": [bird.name for bird in BIRDS],
                }
            )
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def scores_of(path):
    return json.loads(path.with_suffix(".scores.json").read_text())


def test_every_bad_row_and_image_stops_it_before_a_model_is_loaded(
    monkeypatch, workplace, repository, capsys
):
    shutil.rmtree(workplace / "birds" / BIRDS[0].name)
    base = str(repository / "models/base/world")
    assert run_cli(monkeypatch, workplace, "ask", "set.jsonl", "--model", base) == 2
    error = capsys.readouterr().err
    assert error.count("is no file") == 4
    assert "set.jsonl:1: image birds/" in error
    assert not list(workplace.glob("*.scores.json"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.jsonl",), "none.jsonl is neither a folder of images by class nor a table"),
        (("birds",), "say what all of them show with --category"),
        (("birds", "--category", "bird", "--field", "question=q"), "--field is for tables"),
        (("set.jsonl", "--field", "q"), "--field q: write USE=COLUMN"),
        (("set.jsonl", "--out", "set.jsonl"), "--out set.jsonl is the set itself"),
        (("set.jsonl", "--out", "x.csv"), "name a file that ends in .jsonl"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    monkeypatch, workplace, repository, capsys, words, message
):
    base = str(repository / "models/base/world")
    assert run_cli(monkeypatch, workplace, "ask", *words, "--model", base) == 2
    assert message in capsys.readouterr().err


def test_template_and_set_that_do_not_fit_are_one_sentence(monkeypatch, workplace, capsys):
    (workplace / "own.yaml").write_text(OWN)
    words = ("ask", "set.jsonl", "--model", "own.yaml", "--strategy", "trained")
    assert run_cli(monkeypatch, workplace, *words) == 2
    assert "own.yaml: the template `closed` has no {question}" in capsys.readouterr().err


@pytest.mark.slow
def test_outputs_have_names_of_their_own_and_replace_no_other_models(
    monkeypatch, workplace, repository, capsys
):
    model = workplace / "Base-2.5-VL"
    model.symlink_to(repository / "models/base/world")
    words = ("ask", "set.jsonl", "--model", model.name, "--category", "bird", "--limit", "2")
    output = workplace / "set.Base-2.5-VL.direct.jsonl"
    for _ in range(2):  # its own answers are replaced
        assert run_cli(monkeypatch, workplace, *words, "--strategy", "direct") == 0
    row = json.loads(output.read_text().splitlines()[0])
    assert (row["strategy"], row["model"]) == ("direct", "Base-2.5-VL")
    output.write_text(json.dumps(row | {"identity": "another"}) + "\n")
    assert run_cli(monkeypatch, workplace, *words, "--strategy", "direct") == 2
    assert f"{output.name} is there and holds no answers of transf" in capsys.readouterr().err
    assert json.loads(output.read_text())["identity"] == "another"
    named = ("--strategy", "direct", "--out", output.name)
    assert run_cli(monkeypatch, workplace, *words, *named) == 0
    assert json.loads(output.read_text().splitlines()[0]) == row
    assert not list((workplace / "models/.resume").glob("ask-*"))


@pytest.mark.slow
def test_class_folders_are_asked_and_scored(monkeypatch, workplace, repository, capsys):
    caption = workplace / "birds" / BIRDS[0].name / "0.txt"
    caption.write_text(f"A {BIRDS[0].name}.")
    base = str(repository / "models/base/world")
    words = ("ask", "birds", "--category", "bird", "--model", base, "--strategy", "direct")
    assert run_cli(monkeypatch, workplace, *words, "--out", "out.jsonl") == 0
    found = scores_of(workplace / "out.jsonl")
    assert (found["open"]["n"], found["describe"]["n"]) == (12, 1)
    assert found["encoder"].startswith("char_ngrams (spelling alone")
    assert found["strategy"] == "direct"
    # The base model knows drawn birds: it names some of them right, in no tags.
    assert found["open"]["accuracy"] > 0.1
    assert "similarity by char_ngrams" in capsys.readouterr().out


@pytest.mark.slow
def test_a_clip_model_of_ones_own_answers_a_closed_set(
    monkeypatch, workplace, tiny_clip, repository, capsys
):
    entry = (repository / "finer1/zoo/clip_vit_l_14_336.yaml").read_text()
    assert "open_clip:ViT-L-14-336:openai" in entry
    entry = entry.replace("open_clip:ViT-L-14-336:openai", f"open_clip:{tiny_clip}")
    (workplace / "tiny.yaml").write_text(entry)
    words = ("ask", "set.jsonl", "--model", "tiny.yaml", "--category", "bird")
    assert run_cli(monkeypatch, workplace, *words) == 0
    rows = (workplace / "set.tiny.zero_shot.jsonl").read_text().splitlines()
    assert len(rows) == 12
    for line in rows:
        row = json.loads(line)
        assert row["completion"][len("<answer>") : -len("</answer>")] in row["options"]
    assert scores_of(workplace / "set.tiny.zero_shot.jsonl")["closed"]["answered_rate"] == 1
    assert "closed" in capsys.readouterr().out
    open_set = ("ask", "birds", "--model", "tiny.yaml", "--category", "bird")
    assert run_cli(monkeypatch, workplace, *open_set) == 2
    assert "chooses among options, and no question has any" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(workplace, repository):
    base = str(repository / "models/base/world")
    command = [sys.executable, "-m", "flows.cli", "ask", "set.jsonl", "--model", base]
    command += ["--category", "bird", "--out", "out.jsonl"]
    environ = {**os.environ, "PYTHONPATH": str(repository)}
    first = subprocess.Popen(command, cwd=workplace, env=environ)
    try:
        while sum(map(_lines, workplace.glob("store/*.jsonl"))) < 4:
            assert first.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    assert not (workplace / "out.jsonl").exists()
    (kept,) = workplace.glob("store/*.jsonl")
    before = kept.read_bytes()
    second = subprocess.run(
        command, cwd=workplace, env=environ, check=True, capture_output=True, text=True
    )
    assert "Loading weights" not in second.stderr
    after = kept.read_bytes()
    assert after.startswith(before[: before.rindex(b"\n") + 1])
    answers = (workplace / "out.jsonl").read_bytes()
    # The same from an empty store.
    environ["FINER1_STORE"] = str(workplace / "other")
    subprocess.run(command, cwd=workplace, env=environ, check=True)
    assert (workplace / "out.jsonl").read_bytes() == answers


def _lines(path):
    return path.read_bytes().count(b"\n")
