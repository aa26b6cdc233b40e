from tests.flows.test_cli import run_cli


def test_without_rationales_the_next_command_is_told(monkeypatch, project, capsys):
    assert run_cli(monkeypatch, project, "review") == 2
    assert capsys.readouterr().err == (
        "finer1: data/rationales.jsonl is missing; make it: finer1 run cot\n"
    )
