import httpx
import pytest

import flows.stages
from flows.pipeline import main


@pytest.fixture
def away(monkeypatch, tmp_path):
    """A server, named with a password, that ends in the middle of a flow run."""

    def fail(*_):
        raise httpx.ConnectError("Connection refused")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_SERVER_API_HOST", "127.0.0.1")
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@127.0.0.1:9/api")
    monkeypatch.setattr(flows.stages, "pipeline", fail)


def test_a_server_that_goes_away_is_the_machines_fault_in_one_sentence(away, capsys):
    assert main([]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "pipeline: the Prefect server http://127.0.0.1:9/api does not answer (ConnectError: "
        "Connection refused); what the stages have written is in place: start the server, and run "
        "the same again"
    )
