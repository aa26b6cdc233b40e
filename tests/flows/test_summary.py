import json
import shlex
import sys
from itertools import pairwise

import pytest

from flows.processes import as_typed
from flows.summary import print_summary
from flows.values import configure, set_values


@pytest.fixture
def scored(project):
    """The toy project with scores of no cell."""
    (project / "data/metrics").mkdir()
    (project / "data/metrics/score.json").write_text(json.dumps({"confidence": 0.95}))
    return project


def test_the_printed_command_reads_own_images(scored, tmp_path_factory, capsys):
    print_summary(scored)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "--root FOLDER" in line]
    words = shlex.split(line)
    assignments = [word for option, word in pairwise(words) if option == "-S"]
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.jpg").write_bytes(b"a")
    params = configure(scored / "params.yaml", assignments, folder)
    assert params.download.dataset == "folder"
    assert params.concepts.engine == params.cot.engine == "template"


def test_caveats_are_those_of_the_dataset(scored, capsys):
    caveats = {"world": ["drawn"], "bird": ["photographs"]}
    set_values(scored / "params.yaml", {"download.dataset": "bird", "report.caveats": caveats})
    print_summary(scored)
    told = capsys.readouterr().out
    assert "  * photographs" in told
    assert "drawn" not in told


def test_a_command_is_printed_as_it_works_without_activation(tmp_path, monkeypatch):
    assert as_typed("finer1 run", tmp_path) == "finer1 run"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert as_typed("finer1 run", tmp_path) == ".venv/bin/finer1 run"
