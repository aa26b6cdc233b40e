import pytest

from flows import cli, experiments


def run_cli(monkeypatch, folder, *words):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["finer1", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_bad_input_exits_with_2_and_one_sentence(monkeypatch, project, capsys):
    assert run_cli(monkeypatch, project, "run", "-S", "sft.learning_rate=1") == 2
    assert capsys.readouterr().err == (
        "finer1: sft.learning_rate is not a known key; the nearest one is sft.lr\n"
    )


def test_a_message_cannot_command_the_terminal(monkeypatch, tmp_path, capsys):
    assert run_cli(monkeypatch, tmp_path, "score", "\x1b]0;x\x07.jsonl", "--mode", "open") in (2, 3)
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\\x1b]0;x\\x07.jsonl" in err


def test_nor_can_one_of_a_module(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("\x1b[31m: 1")
    assert experiments.main(["\x1b[31m"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_the_code_of_a_failed_stage_is_the_exit_code(monkeypatch, project):
    (project / "fail").write_text("code 3")
    assert run_cli(monkeypatch, project, "run") == 3


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "status",
        "experiments",
        "compare",
        "report",
        "review",
        "score",
        "ask",
        "plan",
        "sync",
        "promote",
    ],
)
def test_help_of_every_verb_shows_an_example(monkeypatch, tmp_path, verb, capsys):
    assert run_cli(monkeypatch, tmp_path, verb, "--help") == 0
    assert f"Example: finer1 {verb}" in capsys.readouterr().out


def test_status_outside_of_a_project_is_one_sentence(monkeypatch, tmp_path, capsys):
    assert run_cli(monkeypatch, tmp_path, "status") == 2
    assert capsys.readouterr().err == (
        f"finer1: {tmp_path} has no dvc.yaml; change to the project's folder\n"
    )


def test_status_names_a_torn_lock_and_its_remedy(monkeypatch, project, capsys):
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: [")
    assert run_cli(monkeypatch, project, "status") == 2
    assert "dvc.lock is unreadable; finer1 run repairs it" in capsys.readouterr().err


def test_a_graph_that_dvc_cannot_read_is_one_sentence(monkeypatch, project, capsys):
    (project / "dvc.yaml").write_text("stages: {first: {deps: []}}")
    assert run_cli(monkeypatch, project, "status") == 2
    assert capsys.readouterr().err.startswith("finer1: DVC: ")


def test_status_tells_the_next_command(monkeypatch, project, capsys):
    # 30 s and 120 s in the toy graph.
    assert run_cli(monkeypatch, project, "status") == 0
    assert "next: finer1 run, about 2 min on two cores" in capsys.readouterr().out
