import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from finer1.preflight import behaviour
from finer1.preflight.behaviour import examine


def states(folder):
    return {row.subject: row.state for row in examine(folder)}


@pytest.fixture(scope="module")
def base(repository):
    return repository / "models/base/world"


def test_the_embedded_base_passes(base):
    expected = {"tiny model", "engines", "image", "training step"}
    found = states(base)
    assert expected <= set(found)
    assert {found[name] for name in expected} == {"OK"}


NOISY = """
import os
from finer1.preflight import behaviour

def look(device):
    os.write(1, b"INFO of a library\\n")
    print("INFO of another")
    return behaviour.Row("OK", "gpu", "none")

behaviour.gpu_row, behaviour.examine = look, lambda folder: ()
behaviour.main("folder", "cpu")
"""


def test_lines_that_a_library_prints_are_no_rows(repository):
    done = subprocess.run(
        [sys.executable, "-c", NOISY], cwd=repository, capture_output=True, text=True, timeout=60
    )
    assert [json.loads(line)["subject"] for line in done.stdout.splitlines()] == ["gpu"]
    assert "INFO of a library" in done.stderr


def test_a_model_that_does_not_see_the_image_fails(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "blind")
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if "merger" in name:  # what brings the image to the language model
            weights[name].zero_()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "SHA256SUMS").unlink()  # of the weights that see
    found = states(folder)
    assert found["image"] == "FAIL"
    assert found["engines"] == "OK"


@pytest.mark.slow
def test_engines_that_disagree_fail(base, monkeypatch):
    honest = behaviour._packed
    monkeypatch.setattr(behaviour, "_packed", lambda *given: honest(*given) + 0.01)
    assert states(base)["engines"] == "FAIL"


@pytest.mark.slow
def test_a_step_that_changes_nothing_fails(base, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: None)
    assert states(base)["training step"] == "FAIL"
