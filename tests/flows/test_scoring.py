import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.scoring import aligned
from tests.flows.test_cli import run_cli

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    {
        "image_path": f"bird_200/images/1/{number}.jpg",
        "question": "What bird is this?",
        "options": ["Laysan Albatross", "Black Tern", "Sooty Albatross", "Heermann Gull"],
        "ground_truth": "Laysan Albatross",
        "completion": completion,
    }
    for number, completion in enumerate(
        [
            "<think>a b</think><answer>laysan albatross</answer>",
            "<think>a b</think><answer>Laysan Albatross, Black Tern</answer>",
            "Laysan Albatross",
            "<think>a b</think><answer>Black Tern</answer>",
        ]
    )
]


@pytest.fixture
def outputs(tmp_path):
    path = tmp_path / "outputs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def scored(monkeypatch, outputs, *words):
    target = outputs.parent / "made" / "score.json"
    code = run_cli(
        monkeypatch, outputs.parent, "score", str(outputs), "--json", str(target), *words
    )
    assert code == 0
    return json.loads(target.read_text())


@pytest.mark.parametrize(("protocol", "accuracy"), [("shuffled", 1 / 4), ("paper", 2 / 4)])
def test_the_numbers_of_a_file_are_written(monkeypatch, outputs, protocol, accuracy):
    found = scored(monkeypatch, outputs, "--mode", "closed", "--protocol", protocol)
    assert (found["n"], found["accuracy"]) == (4, accuracy)
    assert (found["format_rate"], found["hedge_rate"]) == (3 / 4, 1 / 4)
    assert (found["mode"], found["protocol"]) == ("closed", protocol)
    assert found["groups"]["bird/seen"]["n"] == 4
    assert found["position"]["always_first"] == 1
    assert found["sha256"] == {"file": hashlib.sha256(outputs.read_bytes()).hexdigest()}
    assert found["version"]


def test_equal_seeds_write_equal_files(monkeypatch, outputs):
    words = ("--mode", "closed", "--samples", "50", "--seed", "3")
    first = scored(monkeypatch, outputs, *words)
    assert scored(monkeypatch, outputs, *words) == first
    assert (first["bootstrap_samples"], first["seed"], first["confidence"]) == (50, 3, 0.95)


def test_the_table_warns_that_the_truth_is_always_first(monkeypatch, outputs, capsys):
    assert run_cli(monkeypatch, outputs.parent, "score", str(outputs), "--mode", "closed") == 0
    printed = capsys.readouterr().out
    assert "warning: the truth is the first option of every row" in printed
    assert "scoring shuffles nothing" in printed
    assert "written" not in printed


@pytest.mark.slow  # scikit-learn, for the encoder, takes a second to import
def test_open_questions_have_inclusion_and_similarity(monkeypatch, outputs, capsys):
    found = scored(monkeypatch, outputs, "--mode", "open", "--protocol", "paper")
    assert found["text_inclusion"] == found["accuracy"] == 3 / 4
    assert found["text_inclusion_exact"] == 1 / 4
    assert 0 < found["semantic_similarity"] < 1
    assert found["encoder"].startswith("char_ngrams (spelling alone, ")
    assert "spelling alone" in capsys.readouterr().out


def test_a_taxonomy_may_hold_more_than_the_file_is_about(monkeypatch, outputs, capsys):
    table = outputs.parent / "levels" / "outputs.jsonl"  # of the other file's name
    table.parent.mkdir()
    table.write_text(
        "dataset,family,label\nbird,Diomedeidae,Laysan Albatross\n"
        "bird,Laridae,Black Tern\nbird,Alcidae,Puffin\nfish,Salmonidae,Trout\n"
    )
    found = scored(monkeypatch, outputs, "--mode", "closed", "--taxonomy", str(table))
    assert (found["level_family"], found["levels_missing"]) == (1 / 4, 0)
    assert found["sha256"] == {
        role: hashlib.sha256(path.read_bytes()).hexdigest()
        for role, path in (("file", outputs), ("taxonomy", table))
    }
    assert "levels: family 25.0, label 25.0, longest common prefix 25.0" in capsys.readouterr().out


def test_a_bad_taxonomy_is_refused_before_an_encoder_is_read(monkeypatch, outputs, capsys):
    (outputs.parent / "levels.csv").write_text("family,label\n,Black Tern\n")
    words = ("--mode", "open", "--encoder", "unknown", "--taxonomy", "levels.csv")
    assert run_cli(monkeypatch, outputs.parent, "score", str(outputs), *words) == 2
    assert "levels.csv:2: the sub-category or all levels above" in capsys.readouterr().err


@pytest.mark.slow
def test_scoring_is_offline_before_an_encoder_is_loaded(outputs):
    # A process of its own: libraries read the setting while they are imported.
    code = (
        "import os, sys, flows.cli, finer1.evaluation.similarity as similarity\n"
        "def load(*words):\n"
        "    assert 'huggingface_hub' not in sys.modules\n"
        "    raise ValueError(f'offline {os.environ[\"HF_HUB_OFFLINE\"]}')\n"
        "similarity.load_similarity = load\n"
        "flows.cli.main()"
    )
    words = ("score", str(outputs), "--mode", "open", "--encoder", "open_clip:a:b")
    environ = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environ["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=environ, cwd=outputs.parent, capture_output=True, text=True)
    assert done.stderr == "finer1: offline 1\n"


def test_bad_rows_exit_with_2_and_nothing_is_written(monkeypatch, outputs, capsys):
    with outputs.open("a") as file:
        file.write("{}\nnonsense\n")
    target = outputs.parent / "score.json"
    words = ("score", str(outputs), "--mode", "closed", "--json", str(target))
    assert run_cli(monkeypatch, outputs.parent, *words) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"finer1: {outputs}:5: image_path: Field required\n{outputs}:6: ")
    assert told.out == ""
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mode", "closed", "--encoder", "char_ngrams"), "--encoder is for open questions"),
        (("--mode", "open", "--encoder", "gpt"), "text encoder 'gpt' is unknown"),
        (("--mode", "closed", "--json", "outputs.jsonl"), "outputs.jsonl would replace"),
        (("--mode", "closed", "--json", "."), "--json . is there and is no regular file"),
        (("--mode", "closed", "--json", "outputs.jsonl/a"), "outputs.jsonl is no folder"),
        (("--mode", "closed", "--taxonomy", "absent.csv"), "absent.csv is no file"),
    ],
)
def test_settings_that_do_not_fit_are_refused(monkeypatch, outputs, capsys, words, message):
    before = outputs.read_bytes()
    assert run_cli(monkeypatch, outputs.parent, "score", str(outputs), *words) == 2
    assert message in capsys.readouterr().err
    assert outputs.read_bytes() == before


def test_help_shows_an_example(monkeypatch, tmp_path, capsys):
    assert run_cli(monkeypatch, tmp_path, "score", "--help") == 0
    assert "Example: finer1 score outputs.jsonl --mode closed" in capsys.readouterr().out


def test_columns_are_aligned():
    assert aligned([["", "n"], ["all", "12"]]) == ["      n", "all  12"]
