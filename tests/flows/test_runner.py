import io
import os

import pytest

from finer1.params import load_params
from flows import runner
from flows.runner import Request, failure, run
from flows.workspace import hold


@pytest.fixture
def photos(tmp_path_factory):
    """A data folder."""
    place = tmp_path_factory.mktemp("photos")
    (place / "a.jpg").write_bytes(b"a")
    return place


def test_stages_run_once_then_are_up_to_date(project, capsys):
    assert run(Request(), project) == 0
    assert "first" in capsys.readouterr().out
    assert run(Request(), project) == 0
    assert "everything is up to date" in capsys.readouterr().out


@pytest.mark.slow
def test_a_changed_setting_runs_only_what_follows_it(project, capsys):
    run(Request(), project)
    capsys.readouterr()
    run(Request(assignments=("sft.epochs=9",)), project)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [[words[0], *words[3:]] for words in lines if words[0] in ("first", "second")] == [
        ["first", "up", "to", "date"],
        ["second", "ran"],
    ]


@pytest.mark.slow
def test_a_lost_output_comes_back_from_the_cache(project, capsys):
    run(Request(), project)
    (project / "data/second.txt").unlink()
    assert run(Request(), project) == 0
    assert "restored" in capsys.readouterr().out
    assert (project / "data/second.txt").exists()


@pytest.mark.parametrize(
    "code", [*(pytest.param(code, marks=pytest.mark.slow) for code in (1, 2)), 3]
)
def test_the_exit_code_of_a_stage_comes_through(project, code):
    (project / "fail").write_text(f"code {code}")
    assert run(Request(), project) == code


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_killed_stage_is_the_machines_fault(project, capsys, monkeypatch, shell):
    monkeypatch.setenv("SHELL", shell)  # DVC runs a stage's command in it.
    (project / "fail").write_text("signal 9")
    assert run(Request(), project) == 3
    assert "killed (signal 9, likely out of memory)" in capsys.readouterr().out


@pytest.mark.slow
def test_only_a_stage_leaves_what_it_needs_alone(project):
    assert run(Request(("first",), only=True), project) == 0
    assert not (project / "data/second.txt").exists()


def test_an_unknown_stage_names_the_nearest_one(project):
    with pytest.raises(ValueError, match="no stage secnd; the nearest one is second"):
        run(Request(("secnd",)), project)


NAMES = ("questions", "predict@base", "predict@tapo", "baseline@clip", "baseline@direct", "score")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("score", ["score"]),
        ("baseline@clip", ["baseline@clip"]),
        ("baseline", ["baseline@clip", "baseline@direct"]),
        ("predict", ["predict@base", "predict@tapo", "baseline@clip", "baseline@direct"]),
    ],
)  # fmt: skip
def test_one_name_may_mean_several_stages(given, meant):
    assert runner._named(given, NAMES) == meant


@pytest.mark.parametrize(
    ("given", "words"),
    [("robustness", "params.yaml, robustness.models names no model"), ("scor", "nearest one is")],
)
def test_a_name_that_means_no_stage_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        runner._named(given, NAMES)


@pytest.mark.slow
def test_a_setting_may_make_the_stage_that_is_asked_for(project, capsys):
    graph = (project / "dvc.yaml").read_text()
    made = """
  baseline:
    foreach: ${predict.models}
    do:
      cmd: echo ${key} ${item.strategy} > data/${key}.txt
      params: ["predict.models.${key}"]
      outs: ["data/${key}.txt"]
"""
    (project / "dvc.yaml").write_text(graph + made)
    with pytest.raises(ValueError, match="no stage baseline@x"):
        run(Request(("baseline@x",)), project)
    entry = "predict.models={x: {model: m, strategy: cot, max_tokens: null}}"
    assert run(Request(("baseline@x",), assignments=(entry,)), project) == 0
    assert (project / "data/x.txt").read_text() == "x cot\n"


def test_an_unknown_stage_leaves_the_settings_alone(project):
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ValueError, match="no stage secnd"):
        run(Request(("secnd",), assignments=("sft.epochs=9",)), project)
    assert (project / "params.yaml").read_bytes() == before


def test_a_caller_that_holds_the_folder_has_hashed_the_data_too(project, photos):
    with hold(project):
        request = Request(assignments=("download.datasets=[bird]",), data_root=photos, is_held=True)
        assert run(request, project) == 0
    assert load_params(project / "params.yaml").download.content is None


@pytest.mark.parametrize(
    ("left", "line", "code", "word"),
    [
        ("2", "failed to run: python -m tasks.cot, exited with 2", 2, "bad input"),
        ("1", "failed to run: python -m tasks.sft, exited with -9", 3, "killed (signal 9, likely"),
        ("1", "failed to run: sh -c tasks.sft, exited with 137", 3, "killed (signal 9, likely"),
        # The stage itself was done; then DVC failed.
        ("0", "unexpected error - [Errno 28] No space left on device", 3, "the machine failed"),
        ("0", "unexpected error", 1, "failed"),
        # The disk had no room for the code either.
        (None, "sft: the disk is full: x needs 1 MB, 0 MB are free", 3, "the machine failed"),
        (None, "missing data 'source': data/index.jsonl", 2, "an input is missing"),
    ],
)
def test_a_failure_is_told_by_the_code_left_and_by_dvc(tmp_path, left, line, code, word):
    if left:
        (tmp_path / "exit").write_text(left)
    found, words = failure(tmp_path / "exit", ["ERROR:", line])
    assert found == code
    assert words.startswith(word)


def test_a_folder_without_graph_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no dvc\.yaml"):
        run(Request(), tmp_path)


class Terminal(io.StringIO):
    """A terminal of which nothing is read."""

    def isatty(self):
        return True


@pytest.fixture
def run_on_terminal(project, monkeypatch):
    """Run on a terminal of 60 columns; what it got."""

    def run_there(request):
        screen = Terminal()
        monkeypatch.setattr(runner.sys, "stdout", screen)
        monkeypatch.setattr(runner.os, "get_terminal_size", lambda: os.terminal_size((60, 24)))
        run(request, project)
        return screen.getvalue()

    return run_there


def test_a_terminal_shows_the_latest_line_of_the_running_stage_in_place(run_on_terminal):
    shown = run_on_terminal(Request(("first",), only=True)).split("\r\x1b[K")
    (line,) = [line for line in shown if "1/2 steps" in line]
    # Stage and time, then the line without the stage's name; no line feed, so it is rewritten.
    assert line.split()[0] == "first"
    assert line.endswith("s  1/2 steps, live")


def test_a_log_gets_no_line_in_place(project, capsys):
    run(Request(("first",), only=True), project)
    assert "1/2 steps" not in capsys.readouterr().out
    assert "first: 1/2 steps, now and then" in (project / "logs/first.log").read_text()


@pytest.mark.slow
def test_the_place_of_the_dataset_reaches_the_stage_and_not_dvc_lock(project, photos, capsys):
    run(Request(data_root=photos, verbose=True), project)
    assert f"this is first {photos}" in capsys.readouterr().out
    assert str(photos) not in (project / "dvc.lock").read_text()
