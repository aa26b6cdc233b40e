"""Whole exports of a tiny model, each answering in a fresh process."""

import json
import os

import pytest
import torch

from finer1.export.folder import Source, adapted_model, check_source
from finer1.export.golden import Golden, golden_answer, quiet_environment
from finer1.export.model import write_model
from finer1.manifest import check_folder
from finer1.policy.adapters import add_adapters
from finer1.policy.folder import load_policy, save_policy

pytestmark = pytest.mark.slow
ENVIRON = quiet_environment(os.environ, "cpu")


@pytest.fixture
def write(make_facts, asking, run_params, tmp_path):
    """Exports a model to tmp_path/out; golden: in place of what the decoder says."""

    def export(model, lora, golden=None, **changes):
        image = make_facts().example.image
        found = golden or golden_answer(model, image, "bird", asking, "cpu")
        facts = make_facts(**changes, golden=found)
        by_dataset = (facts.measured.rows, run_params)
        out = tmp_path / "out"
        return write_model(out, Source(model, lora), facts, asking, by_dataset, model, ENVIRON)

    return export


@pytest.fixture
def adapted(tiny_model, tmp_path):
    """A model that was trained by adapters, which change what it says."""
    model, _ = load_policy(tiny_model, "cpu", train_vision=False)
    add_adapters(model, 2, 6, ("q_proj", "up_proj"), False, 1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.fill_(0.05)
    save_policy(model, tiny_model, tmp_path / "tapo")
    return tmp_path / "tapo"


def test_a_merged_model_answers_word_for_word(write, adapted, tmp_path):
    assert "word for word as the project's own decoder" in write(adapted, "merged")
    out = tmp_path / "out"
    check_folder(out)
    names = {path.name for path in out.iterdir()}
    assert {"README.md", "example.png", "finer1.json"} <= names
    assert not {"adapters", "adapter_config.json"} & names


def test_adapters_alone_answer_on_their_base(write, adapted, tiny_model, tmp_path):
    check_source(Source(adapted, "separate"))
    assert adapted_model(adapted).resolve() == tiny_model
    said = write(adapted, "separate", relation="adapter", hub_base=None)
    assert "as the project's own decoder" in said
    out = tmp_path / "out"
    assert not (out / "model.safetensors").exists()
    base = json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert (out / base).resolve() == tiny_model
    check_folder(out)
    write(adapted, "separate", relation="adapter")
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "lab/base"
    check_folder(out)


def test_a_folder_that_answers_otherwise_is_not_written(write, tiny_model, tmp_path):
    other = Golden("<answer>elm wren</answer>", "elm wren", "float32", "tags")
    with pytest.raises(RuntimeError, match="answers otherwise in a fresh process"):
        write(tiny_model, "merged", golden=other)
    assert not list(tmp_path.iterdir())
