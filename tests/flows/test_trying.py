import pytest

from flows import cli


@pytest.fixture
def finer1(monkeypatch, tmp_path, capsys):
    """Types a command in an empty folder; exit code and what was told."""

    def type_in(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["finer1", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, capsys.readouterr().err

    return type_in


def test_outside_of_a_project_a_model_or_an_address_is_needed(finer1):
    code, text = finer1("app", "--no-browser")
    assert code == 2
    assert "name the model with --model FOLDER" in text


def test_a_base_that_is_no_model_is_refused_before_anything_starts(finer1, tmp_path):
    code, text = finer1("app", "--url", "http://127.0.0.1:9/v1", "--base", tmp_path)
    assert code == 2
    assert "is no folder of a model; it has no config.json" in text


def test_an_address_where_nothing_answers_is_named(finer1):
    code, text = finer1("app", "--url", "http://127.0.0.1:9/v1", "--no-browser")
    assert code == 3
    assert "http://127.0.0.1:9/v1 does not answer" in text
