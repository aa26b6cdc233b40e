import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from finer1.engines.adapters import read_adapter
from finer1.engines.interface import EngineSettings, Sampling, load_engine
from finer1.engines.local_models import find_model
from finer1.files import sha256_folder
from tests.finer1.engines.families import build_adapter, questions

GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)
LORA = {"peft_type": "LORA", "base_model_name_or_path": "me/base", "revision": None}


def settings(adapter, model=None):
    return EngineSettings(model, {}, "cpu", adapter=adapter)


@pytest.fixture
def make_adapter(tmp_path):
    """Writes adapters for a base; their folder."""

    def make(base):
        build_adapter(base, tmp_path / "lora")
        return tmp_path / "lora"

    return make


@pytest.fixture
def small_adapter(tmp_path):
    """A folder that looks like adapters; its config is changed by keywords."""

    def make(weights="adapter_model.safetensors", **changes):
        folder = tmp_path / "adapter"
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps(LORA | changes))
        (folder / weights).write_bytes(b"weights")
        return folder

    return make


@pytest.mark.slow
def test_merged_adapters_answer_as_adapters_beside_the_weights(make_adapter, world_base):
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    adapter = make_adapter(world_base)
    processor = AutoProcessor.from_pretrained(world_base)
    base = AutoModelForImageTextToText.from_pretrained(world_base, dtype=torch.float32)
    beside = PeftModel.from_pretrained(base, adapter)
    merged = load_engine("transformers", settings(adapter))
    plain = load_engine("transformers", EngineSettings(world_base, {}, "cpu"))
    asked = [questions()[place] for place in (0, 1, 3)]
    for request in asked:
        content = [{"type": "image", "image": request.images[0]}]
        content.append({"type": "text", "text": request.user})
        batch = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        tokens = beside.generate(
            **batch,
            max_new_tokens=8,
            do_sample=False,
            suppress_tokens=list(merged._suppressed_ids),
        )[0, batch["input_ids"].shape[1] :]
        expected = processor.tokenizer.decode(tokens, skip_special_tokens=True)
        assert merged.generate([request], GREEDY)[0][0].text == expected
    assert merged.generate(asked, GREEDY) != plain.generate(asked, GREEDY)


@pytest.mark.slow
def test_adapters_name_their_base_or_are_given_one(make_adapter, world_base):
    adapter = make_adapter(world_base)
    found = find_model("vllm", settings(adapter))
    assert found == find_model("vllm", settings(adapter, world_base))
    weights = read_adapter(adapter).identity
    assert found.identity == f"{sha256_folder(world_base)}+{weights}"
    assert found.folder == world_base


@pytest.mark.slow
def test_other_weights_are_other_adapters(make_adapter, world_base):
    adapter = make_adapter(world_base)
    before = read_adapter(adapter).identity
    (adapter / "README.md").write_text("notes do not count")
    assert read_adapter(adapter).identity == before
    path = adapter / "adapter_model.safetensors"
    save_file({name: 2 * value for name, value in load_file(path).items()}, path)
    assert read_adapter(adapter).identity != before


@pytest.mark.slow
def test_adapters_for_layers_of_other_names_are_refused(make_adapter, world_base):
    # As those are that an older transformers wrote, whose layers were named otherwise.
    adapter = make_adapter(world_base)
    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name.replace("layers", "blocks"): value for name, value in weights.items()}, path)
    with pytest.raises(ValueError, match="does not fit its base model: 16 weights are missing"):
        load_engine("transformers", settings(adapter))


@pytest.mark.slow
def test_adapters_of_another_size_are_refused(make_adapter, world_base, tmp_path):
    adapter = shutil.copytree(make_adapter(world_base), tmp_path / "changed")
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 3}))
    with pytest.raises(ValueError, match="changed does not fit its base model"):
        load_engine("transformers", settings(adapter))


def test_pickled_adapters_are_refused(small_adapter):
    with pytest.raises(ValueError, match="a pickled file can run code; save the adapters with"):
        read_adapter(small_adapter(weights="adapter_model.bin"))


def test_adapters_of_another_kind_are_refused(small_adapter):
    with pytest.raises(ValueError, match="peft_type is IA3; only LORA adapters can be merged"):
        read_adapter(small_adapter(peft_type="IA3"))


def test_a_folder_without_adapters_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no adapter_config\.json"):
        read_adapter(tmp_path)


def test_a_base_that_was_not_fetched_says_how_to_fetch_it(small_adapter, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ValueError, match="me/base is not on this disk.*hf download me/base$"):
        find_model("vllm", settings(small_adapter()))


def test_a_base_folder_that_is_gone_says_where_to_write_another(small_adapter):
    adapter = small_adapter(base_model_name_or_path="/gone/models/base")
    with pytest.raises(ValueError, match="/gone/models/base is not on this disk; write its folder"):
        find_model("vllm", settings(adapter))


def test_vllm_without_a_scratch_folder_is_refused(small_adapter, tiny_model):
    with pytest.raises(ValueError, match="needs a scratch folder for a model with adapters"):
        load_engine("vllm", settings(small_adapter(), tiny_model))
