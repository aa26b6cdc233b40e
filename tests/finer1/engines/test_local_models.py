import json
import shutil

import pytest

from finer1.engines.interface import EngineSettings
from finer1.engines.local_models import LocalModel, find_model
from finer1.files import sha256_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def settings(name=None, model=None, home=None):
    extra = {} if home is None else {"home": home}
    return EngineSettings(model, {}, "cpu", named_model=name, **extra)


@pytest.fixture
def copied(tiny_model, tmp_path):
    """A copy of the tiny model."""
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.fixture
def hub(tmp_path, tiny_model, monkeypatch):
    """A cache of the hub that has the tiny model as `me/teacher`; its snapshot folder."""
    repository = tmp_path / "hub" / "models--me--teacher"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(tiny_model, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot


def test_without_a_name_it_is_the_projects_own(tiny_model):
    found = find_model("vllm", settings(model=tiny_model))
    assert found == LocalModel(tiny_model, sha256_folder(tiny_model))


def test_a_named_folder_is_known_by_its_content(tiny_model):
    found = find_model("vllm", settings(str(tiny_model)))
    assert found == LocalModel(tiny_model, sha256_folder(tiny_model))


def test_a_named_folder_lies_relative_to_the_project(tiny_model):
    found = find_model("vllm", settings(tiny_model.name, home=tiny_model.parent))
    assert found.folder == tiny_model


def test_a_model_of_the_hub_is_known_by_its_commit(hub):
    found = find_model("vllm", settings(f"me/teacher@{COMMIT}"))
    assert found == LocalModel(hub, f"me/teacher@{COMMIT}")


def test_a_model_that_was_not_fetched_says_how_to_fetch_it(hub):
    other = f"me/other@{COMMIT}"
    with pytest.raises(ValueError, match=f"fetch it first: hf download me/other --rev.* {COMMIT}"):
        find_model("vllm", settings(other))


def test_a_model_that_was_fetched_in_part_says_what_is_missing(hub):
    (hub / "model.safetensors").unlink()
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (hub / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    (hub / weights["a"]).write_bytes(b"")
    with pytest.raises(ValueError, match="lacks 1 files, the first is model-00002.*hf download"):
        find_model("vllm", settings(f"me/teacher@{COMMIT}"))


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for name in ("generation_config", "processor_config", "tokenizer", "tokenizer_config"):
        (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(ValueError, match="lacks 1 files, the first is model.safetensors; copy all"):
        find_model("vllm", settings(str(tmp_path)))


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        ("processor_config.json", "preprocessor_config.json or processor_config.json"),
        ("tokenizer.json", "tokenizer.json or tokenizer.model or vocab.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
    ],
)
def test_a_folder_without_one_of_the_small_files_is_refused(tiny_model, tmp_path, file, missing):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / file).unlink()
    with pytest.raises(ValueError, match=f"lacks 1 files, the first is {missing}; copy all"):
        find_model("vllm", settings(str(folder)))


def test_without_generation_config_the_config_must_say_where_to_stop(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "generation_config.json").unlink()
    assert find_model("vllm", settings(str(folder))).folder == folder
    config = json.loads((folder / "config.json").read_text())
    del config["text_config"]["eos_token_id"]
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))
    with pytest.raises(ValueError, match=r"lacks 1 files, the first is generation_config\.json"):
        find_model("vllm", settings(str(folder)))


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-VL-32B-Instruct", "models/none", "a/b@main", "gpt"])
def test_what_is_neither_folder_nor_pinned_is_refused(name):
    with pytest.raises(ValueError, match="neither a folder nor a model of the hub at a commit"):
        find_model("vllm", settings(name))


OWN_CODE = [
    ("processor_config.json", {"processor_class": "Own", "auto_map": {"AutoProcessor": "x.Own"}}),
    ("processor_config.json", {"auto_map": {"AutoProcessor": "x.Own"}}),
    (
        "processor_config.json",
        {"image_processor": {"auto_map": {"AutoImageProcessor": "x.Own"}}},
    ),
    (
        "preprocessor_config.json",
        {"image_processor_type": "Own", "auto_map": {"AutoImageProcessor": "x.Own"}},
    ),
    ("tokenizer_config.json", {"tokenizer_class": "Own", "auto_map": ["x.Own", None]}),
]


@pytest.mark.parametrize(("file", "content"), OWN_CODE)
def test_a_processor_with_code_of_its_own_is_refused(copied, file, content):
    (copied / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"{file}: Auto.* code that comes with .* never run here"):
        find_model("transformers", settings(str(copied)))


def test_code_beside_a_class_of_transformers_is_no_reason(copied):
    path = copied / "processor_config.json"
    config = json.loads(path.read_text()) | {"auto_map": {"AutoProcessor": "x.Own"}}
    path.write_text(json.dumps(config))
    assert find_model("transformers", settings(str(copied))).folder == copied


def test_no_model_at_all_is_asked_for():
    with pytest.raises(ValueError, match=r"needs a model folder.*vllm:<owner>/<name>@<commit>"):
        find_model("vllm", settings())
