"""What a path stands for, and which engine takes it."""

import json
from pathlib import Path

import pytest
import yaml

from finer1.engines.interface import EngineSettings
from finer1.zoo.loading import find_asked, load_asked

COMMIT = "0123456789" * 4
ENTRY = {
    "title": "Tiny", "kind": "chat", "model": "owner/tiny", "commit": None, "adapter": None,
    "prompts": None, "answer_from": "text", "tried": {"transformers": "not tried"}, "notes": "",
}  # fmt: skip
SETTINGS = EngineSettings(None, {}, "cpu")


@pytest.fixture
def entry(tmp_path):
    """Write an entry with changes; its path."""

    def write(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(ENTRY | changes))
        return path

    return write


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the hub as `hf download owner/tiny` leaves it; its folder of snapshots."""
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    snapshots = cache / "models--owner--tiny/snapshots"

    def fetch():
        (snapshots / COMMIT).mkdir(parents=True)
        (snapshots / COMMIT / "config.json").write_text("{}")
        refs = cache / "models--owner--tiny/refs"
        refs.mkdir()
        (refs / "main").write_text(COMMIT)

    return fetch


def test_a_folder_of_weights_is_a_model(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = find_asked(Path("mine"), Path("elsewhere"))
    assert (found.kind, found.name, found.adapter) == ("chat", str(tmp_path / "mine"), None)
    assert (found.prompts, found.answer_from) == (None, "tags")


def test_a_folder_of_adapters_names_its_own_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    found = find_asked(tmp_path, Path())
    assert (found.name, found.adapter) == (None, tmp_path)


def test_an_entry_without_commit_takes_what_was_fetched(entry, hub):
    hub()
    found = find_asked(entry(), Path())
    assert found.name == f"owner/tiny@{COMMIT}"
    assert found.answer_from == "text"


@pytest.mark.parametrize(
    ("commit", "remedy"),
    [(None, "hf download owner/tiny"), ("a" * 40, f"hf download owner/tiny --revision {'a' * 40}")],
)
def test_a_model_that_was_not_fetched_is_refused_with_the_command(entry, hub, commit, remedy):
    hub() if commit else None  # another commit is there
    with pytest.raises(ValueError) as error:
        find_asked(entry(commit=commit), Path())
    assert str(error.value).endswith(f"owner/tiny is not on this disk; fetch it first: {remedy}")


def test_an_entry_may_name_a_folder_of_the_project(entry, tmp_path):
    (tmp_path / "models/mine").mkdir(parents=True)
    found = find_asked(entry(model="models/mine", adapter="models/lora"), tmp_path)
    assert found.name == str(tmp_path / "models/mine")
    assert found.adapter == tmp_path / "models/lora"


@pytest.mark.parametrize("path", ["nothing", "", "nothing.yaml"])
def test_what_is_no_model_is_refused(tmp_path, path):
    with pytest.raises(ValueError, match="is no model|cannot be read"):
        find_asked(tmp_path / path, Path())


def test_an_entry_of_neither_folder_nor_hub_is_refused(entry, tmp_path):
    with pytest.raises(ValueError, match="model: a/b/c is neither a folder nor an id of the hub"):
        find_asked(entry(model="a/b/c"), tmp_path)


def test_a_clip_model_writes_nothing(entry):
    found = find_asked(entry(kind="clip", model="open_clip:ViT-B-32:openai"), Path())
    with pytest.raises(ValueError, match="is a CLIP model, which writes nothing"):
        load_asked(found, "transformers", SETTINGS)


def test_a_server_needs_an_address(entry):
    found = find_asked(entry(kind="server"), Path())
    with pytest.raises(ValueError, match="tiny.yaml needs the address.*set FINER1_EVAL_SERVER"):
        load_asked(found, "transformers", SETTINGS)


def test_a_vllm_server_takes_no_further_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    found = find_asked(tmp_path, Path())
    with pytest.raises(ValueError, match="set runtime.engine to vllm or transformers"):
        load_asked(found, "vllm_server", SETTINGS)


@pytest.mark.slow
def test_a_folder_and_the_runs_own_model_have_one_identity(tiny_model):
    from finer1.engines.interface import load_engine

    own = load_engine("transformers", EngineSettings(tiny_model, {}, "cpu"))
    found = load_asked(find_asked(tiny_model, Path()), "transformers", SETTINGS)
    assert found.identity == own.identity
