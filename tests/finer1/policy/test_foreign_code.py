"""No way in which the project loads a model runs a line that lies in the model's folder."""

import contextlib
import pickle
import sys

import pytest
from PIL import Image

from finer1.encoders.base_model import load_base_encoder
from finer1.encoders.texts import load_text_encoder
from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.policy.encoding import encode_prompts
from finer1.policy.folder import load_policy
from finer1.teacher.encoders import load_encoder
from tests.finer1.policy.foreign_code import CANARIES, copy_with, own_model, pickled


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """Where transformers copies a folder's code to, should it ever run it."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.setattr(sys, "path", [*sys.path])


def train(folder):
    model, processor = load_policy(folder, "cpu", train_vision=False)
    encode_prompts(model, processor, ["What is it?"], [Image.new("RGB", (32, 32))], "")


def ask(folder):
    engine = load_engine("transformers", EngineSettings(folder, {}, "cpu"))
    request = Request("What is it?", (Image.new("RGB", (32, 32)),), 0)
    engine.generate([request], Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=2))


def ask_by_name(folder):
    load_engine(f"transformers:{folder}", EngineSettings(None, {}, "cpu"))


def embed_images(folder):
    load_base_encoder(folder, "cpu")


def embed_texts(folder):
    load_encoder(f"hf:{folder}", folder.parent, "cpu")


def compare_texts(folder):
    load_text_encoder(f"siglip:{folder}", folder.parent, "cpu")


def assert_inert(enter, canary, tiny_model, folder):
    copy = copy_with(canary, tiny_model, folder / "model", folder / "ran")
    # Refused or loaded without the folder's code; the sentences have tests of their own.
    with contextlib.suppress(ValueError, OSError):
        enter(copy)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_runs_where_a_model_is_trained(tiny_model, tmp_path, canary):
    assert_inert(train, canary, tiny_model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("enter", [ask, ask_by_name, embed_images, embed_texts, compare_texts])
def test_no_canary_runs_at_any_other_way_in(tiny_model, tmp_path, enter, canary):
    assert_inert(enter, canary, tiny_model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("enter", [train, ask, ask_by_name, embed_images])
def test_the_model_itself_gets_in_everywhere(tiny_model, enter):
    enter(tiny_model)


def test_canaries_run_where_code_is_trusted(tiny_model, tmp_path):
    from transformers import AutoModelForImageTextToText

    ran = tmp_path / "ran"
    folder = copy_with(own_model, tiny_model, tmp_path / "model", ran)
    with contextlib.suppress(Exception):
        AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
    assert ran.exists()


def test_pickled_canaries_run_where_pickles_are_read(tiny_model, tmp_path):
    ran = tmp_path / "ran"
    folder = copy_with(pickled, tiny_model, tmp_path / "model", ran)
    pickle.loads((folder / "pytorch_model.bin").read_bytes())
    assert ran.exists()
