import pytest

from flows import syncing
from tasks.tracking.journal import journals_folder, new_journal
from tests.flows.test_cli import run_cli
from tests.tasks.tracking.faulty_server import faulty_server

START = {"params": {}, "tags": {}, "parent": None}


@pytest.fixture
def left(tmp_path):
    """A folder with the journal of a run that has ended."""
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    journal.append("end", status="FINISHED")
    journal.close()
    return tmp_path


def test_without_a_journal_there_is_nothing_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run_cli(monkeypatch, tmp_path, "sync") == 0
    assert capsys.readouterr().out == f"nothing waits for sqlite:///{tmp_path}/mlflow.db\n"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refuses", "fails", "trickles"])
def test_a_server_that_takes_nothing_leaves_all_and_says_so(monkeypatch, left, fault, capsys):
    monkeypatch.setattr(syncing, "_PATIENCE_S", 3.0)
    with faulty_server(fault) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//me:secret@"))
        assert run_cli(monkeypatch, left, "sync") == 3
    told = capsys.readouterr().out
    assert "secret" not in told
    assert f"1 runs wait for {address}" in told
    assert len(list((left / "logs/tracking").iterdir())) == 1
