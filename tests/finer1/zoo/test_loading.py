"""What a path stands for, and which engine takes it."""

import json
from pathlib import Path

import pytest
import yaml

from finer1.engines.interface import EngineSettings
from finer1.zoo.loading import check_strategy, find_asked, find_for_stage, load_asked

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


def test_a_folder_of_open_clip_is_a_clip_model(tmp_path, monkeypatch):
    (tmp_path / "clip").mkdir()
    for name in ("open_clip_config.json", "config.json"):
        (tmp_path / "clip" / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = find_for_stage(Path("clip"), Path(), "baseline@x")
    assert (found.kind, found.name, found.entry) == ("clip", "open_clip:clip", None)


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


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": "models/mine"}, "model: models/mine"),
        ({"adapter": "models/mine"}, "adapter: models/mine"),
        ({"kind": "clip", "model": "open_clip:models/mine"}, "model: models/mine"),
        ({"kind": "clip", "model": "open_clip:ViT-B-32:models/mine/a"}, "model: models/mine/a"),
    ],
)  # fmt: skip
def test_a_stage_takes_no_entry_whose_model_lies_on_this_disk(entry, hub, tmp_path, changes, named):
    hub()
    (tmp_path / "models/mine").mkdir(parents=True)
    (tmp_path / "models/mine/a").write_bytes(b"")
    assert find_asked(entry(**changes), tmp_path).entry  # `finer1 ask` may
    with pytest.raises(
        ValueError, match=f"yaml: {named} lies on this disk.*name the folder itself"
    ):
        find_for_stage(entry(**changes), tmp_path, "baseline@x")


def test_a_stage_takes_entries_of_hub_open_clip_and_servers(entry, hub, tmp_path):
    hub()
    for changes in ({}, {"kind": "clip", "model": "open_clip:ViT-B-32:openai"}, {"kind": "server"}):
        assert find_for_stage(entry(**changes), tmp_path, "baseline@x").entry


@pytest.mark.parametrize("base", ["models/base", "owner/tiny"])
def test_a_base_on_this_disk_is_said_to_be_no_dependency(tmp_path, caplog, base):
    (tmp_path / "models/base").mkdir(parents=True)
    adapter = {"peft_type": "LORA", "base_model_name_or_path": base}
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    find_for_stage(tmp_path, tmp_path, "baseline@x")
    said = [f"{tmp_path}: DVC does not see changes of its base model, the folder models/base; "
            "after one run `dvc repro -f baseline@x`"]  # fmt: skip
    assert caplog.messages == (said if base == "models/base" else [])


@pytest.mark.parametrize("kind", ["chat", "server"])
def test_an_entry_without_templates_cannot_be_asked_as_trained(entry, hub, kind):
    hub()
    found = find_asked(entry(kind=kind), Path())
    with pytest.raises(ValueError, match="no templates of its own.*choose released, direct, cot"):
        check_strategy(found, "trained")
    check_strategy(found, "direct")


def test_what_may_be_asked_as_trained(entry, hub, tmp_path):
    hub()
    (tmp_path / "config.json").write_text("{}")
    own = {"closed": "{question} {options}", "open": "{question}"}
    clip = {"kind": "clip", "model": "open_clip:ViT-B-32:openai"}
    for path in (tmp_path, entry(prompts=own)):
        check_strategy(find_asked(path, Path()), "trained")
    check_strategy(find_asked(entry(**clip), Path()), "trained")  # it has but one way


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
