import json
import shlex
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from finer1.params import load_params
from flows.cli import app
from flows.dag import Stage
from flows.processes import as_typed
from flows.summary import print_summary
from flows.values import set_values


@pytest.fixture
def scored(project):
    """The toy project with scores of no cell."""
    (project / "data/metrics").mkdir()
    (project / "data/metrics/score.json").write_text(json.dumps({"confidence": 0.95}))
    return project


def test_the_printed_command_reads_own_images(scored, tmp_path_factory, capsys, monkeypatch):
    print_summary(scored)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "FOLDER --" in line]
    words = shlex.split(line)
    place = words.index("data")
    folder = _class_folders(tmp_path_factory.mktemp("photos"))
    given = {"FOLDER": str(folder), "WORD": "beetle"}
    monkeypatch.chdir(scored)
    result = CliRunner().invoke(app, [given.get(word, word) for word in words[place:]])
    assert result.exit_code == 0, result.output
    assert load_params(scored / "params.yaml").download.datasets != ("world",)


def _class_folders(root):
    """Six images of each of four classes, all different."""
    noise = np.random.default_rng(0)
    for name in ("golden tiger", "green tiger", "black dor", "violet dor"):
        (root / name).mkdir()
        for number in range(6):
            pixels = noise.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_caveats_are_those_of_the_dataset(scored, capsys):
    caveats = {"world": ["drawn"], "bird": ["photographs"]}
    set_values(scored / "params.yaml", {"download.datasets": ["bird"], "report.caveats": caveats})
    print_summary(scored)
    told = capsys.readouterr().out
    assert "  * photographs" in told
    assert "drawn" not in told


@pytest.mark.parametrize("changed", [(), ("sft",), ("report",)])
def test_figures_of_an_earlier_run_are_said_to_be_that(scored, capsys, monkeypatch, changed):
    names = ("sft", "score", "report")
    stages = [Stage(name, names[:place][-1:], 0, False, 1.0) for place, name in enumerate(names)]
    monkeypatch.setattr("flows.dag.load_stages", lambda root: stages)
    monkeypatch.setattr("flows.dag.changed_stages", lambda root: set(changed))
    (scored / "dvc.lock").write_text("")
    print_summary(scored)
    assert ("is of an earlier run" in capsys.readouterr().out) == (changed == ("sft",))


def test_a_command_is_printed_as_it_works_without_activation(tmp_path, monkeypatch):
    assert as_typed("finer1 run", tmp_path) == "finer1 run"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert as_typed("finer1 run", tmp_path) == ".venv/bin/finer1 run"
