"""What is loaded from a model folder."""

import json
import shutil

import pytest

from finer1.policy.folder import load_policy


def test_no_code_of_a_folder_is_run_even_when_the_terminal_says_yes(
    tiny_model, tmp_path, monkeypatch
):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    marker = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\n")
    config = {"processor_class": "Own", "auto_map": {"AutoProcessor": "own.Own"}}
    (folder / "processor_config.json").write_text(json.dumps(config))
    monkeypatch.setattr("builtins.input", lambda *words: "y")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(ValueError, match="trust_remote_code"):
        load_policy(folder, "cpu", False)
    assert not marker.exists()
