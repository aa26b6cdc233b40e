import contextlib
import json
import pickle
import shutil
import sys

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from finer1.encoders.open_clip import CONFIG, load_open_clip

WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture
def copied(tiny_clip, tmp_path):
    """A copy of the checkpoint that a test may spoil."""
    return shutil.copytree(tiny_clip, tmp_path / "clip")


def test_a_folder_gives_what_open_clip_gives(tiny_clip, images):
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{tiny_clip}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tiny_clip}")(["a wren"])
    encoder = load_open_clip(f"open_clip:{tiny_clip}", tiny_clip, "cpu")
    with torch.no_grad():
        pixels = torch.stack([transform(image) for image in images()])
        torch.testing.assert_close(encoder.encode(images()), model.eval().encode_image(pixels))
        torch.testing.assert_close(encoder.encode_texts(["a wren"]), model.encode_text(tokens))


def test_a_folder_may_be_relative_to_the_project(tiny_clip):
    encoder = load_open_clip(f"open_clip:{tiny_clip.name}", tiny_clip.parent, "cpu")
    assert encoder.name == f"open_clip:{tiny_clip.name}"


def test_weights_of_a_listed_model_may_come_from_a_file(tmp_path, images):
    name = "ViT-S-32-alt"
    torch.manual_seed(0)
    torch.save(open_clip.create_model(name).state_dict(), tmp_path / "weights.pt")
    encoder = load_open_clip(f"open_clip:{name}:weights.pt", tmp_path, "cpu")
    got = encoder.encode(images(2))
    assert got.shape == (2, 256)
    assert not got[0].equal(got[1])


@pytest.mark.parametrize("change", ["weights", "preprocessing"])
def test_other_weights_or_preprocessing_are_another_encoder(copied, tiny_clip, change):
    if change == "weights":
        weights = load_file(copied / WEIGHTS)
        save_file(weights | {"visual.proj": weights["visual.proj"] + 1}, copied / WEIGHTS)
    else:
        config = json.loads((copied / CONFIG).read_text())
        config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
        (copied / CONFIG).write_text(json.dumps(config))
    one, other = (load_open_clip(f"open_clip:{path}", path, "cpu") for path in (copied, tiny_clip))
    assert one.sha256 != other.sha256


def test_the_place_of_a_checkpoint_is_no_part_of_its_identity(copied, tiny_clip):
    one, other = (load_open_clip(f"open_clip:{path}", path, "cpu") for path in (copied, tiny_clip))
    assert one.sha256 == other.sha256


@pytest.mark.parametrize(
    ("file", "message"), [(CONFIG, f"holds no {CONFIG}"), (WEIGHTS, "holds no weights")]
)
def test_a_folder_without_its_files_is_refused(copied, file, message):
    (copied / file).unlink()
    with pytest.raises(ValueError, match=message):
        load_open_clip(f"open_clip:{copied}", copied, "cpu")


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_torn_file_is_refused(copied, file):
    content = (copied / file).read_bytes()
    (copied / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_open_clip(f"open_clip:{copied}", copied, "cpu")


def test_weights_of_another_model_are_refused(tiny_clip):
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_open_clip(f"open_clip:ViT-B-32:{WEIGHTS}", tiny_clip, "cpu")


class Intruder:
    """A pickle that runs code when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_with_code_is_refused_and_not_run(copied, tmp_path):
    (copied / WEIGHTS).unlink()
    (copied / "model.pth").write_bytes(pickle.dumps({"a": Intruder(tmp_path / "ran")}, protocol=2))
    with pytest.raises(ValueError, match="neither safetensors nor a pickle of tensors alone"):
        load_open_clip(f"open_clip:{copied}", copied, "cpu")
    assert not (tmp_path / "ran").exists()


_CANARY = """
from pathlib import Path
Path({ran!r}).touch()
from transformers import PreTrainedTokenizer
class Canary(PreTrainedTokenizer):
    pass
"""


@pytest.fixture
def canary(copied, tmp_path):
    """The checkpoint with a tokenizer of its own; returns the file that its code would make."""
    ran = tmp_path / "ran"
    (copied / "canary.py").write_text(_CANARY.format(ran=str(ran)))
    settings = {"tokenizer_class": "Canary", "auto_map": {"AutoTokenizer": ["canary.Canary", None]}}
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    return ran


def set_text(folder, **values):
    """Change the text tower's configuration."""
    config = json.loads((folder / CONFIG).read_text())
    config["model_cfg"]["text_cfg"] |= values
    (folder / CONFIG).write_text(json.dumps(config))


TRUST = {"hf_tokenizer_name": "x", "tokenizer_kwargs": {"trust_remote_code": True}}


def test_the_canary_sings_where_nothing_is_refused(copied, canary, tmp_path, monkeypatch):
    # What the refusals below keep out: open_clip itself runs it.
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    set_text(copied, **TRUST)
    with contextlib.suppress(Exception):
        open_clip.get_tokenizer(f"local-dir:{copied}")
    assert canary.exists()


@pytest.mark.parametrize(
    "values",
    [
        TRUST,
        {"hf_tokenizer_name": "x"},
        {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}},
        {"hf_model_name": "x"},
        {},  # the tokenizer's auto_map alone
    ],
)
def test_a_folder_that_may_run_code_is_refused_before_anything_is_loaded(copied, canary, values):
    set_text(copied, **values)
    (copied / WEIGHTS).write_bytes(b"never read")
    with pytest.raises(ValueError, match=r"which can run code that lies in the folder; take"):
        load_open_clip(f"open_clip:{copied}", copied, "cpu")
    assert not canary.exists()


def test_a_model_with_code_is_refused(copied):
    (copied / "config.json").write_text('{"a": [{"auto_map": {"AutoModel": "x.Y"}}]}')
    with pytest.raises(ValueError, match=r"config\.json has auto_map"):
        load_open_clip(f"open_clip:{copied}", copied, "cpu")


def test_keys_without_a_value_are_no_matter(copied):
    set_text(copied, hf_tokenizer_name="", hf_model_name=None)
    load_open_clip(f"open_clip:{copied}", copied, "cpu")


def test_images_alone_need_no_tokenizer(monkeypatch, tiny_clip, images):
    def refuse(*_):
        raise AssertionError("a tokenizer was made")

    monkeypatch.setattr(open_clip, "get_tokenizer", refuse)
    load_open_clip(f"open_clip:{tiny_clip}", tiny_clip, "cpu").encode(images(1))


def test_weights_that_are_not_on_this_machine_are_named_with_a_way_out(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE=0"):
        load_open_clip("open_clip:ViT-B-32:laion2b_s34b_b79k", tmp_path, "cpu")


def test_a_tag_with_another_activation_gets_it(monkeypatch, tmp_path):
    # ViT-L-14's configuration has GELU; openai's weights were trained with QuickGELU.
    asked = {}

    def create(*args, **options):
        asked.update(options)
        raise RuntimeError("stop here: the weights are not needed")

    monkeypatch.setattr(open_clip, "create_model_from_pretrained", create)
    for tag, quick in (("openai", True), ("laion2b_s32b_b82k", False)):
        with pytest.raises(ValueError, match="stop here"):
            load_open_clip(f"open_clip:ViT-L-14:{tag}", tmp_path, "cpu")
        assert asked["force_quick_gelu"] is quick


def test_a_tokenizer_that_is_not_on_this_machine_is_named_with_a_way_out(tiny_clip, monkeypatch):
    def absent(_):
        raise OSError("We couldn't connect to the hub")

    encoder = load_open_clip(f"open_clip:{tiny_clip}", tiny_clip, "cpu")
    monkeypatch.setattr(open_clip, "get_tokenizer", absent)
    lent = {"text_cfg": {"hf_tokenizer_name": "timm/x"}}
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: lent)
    with pytest.raises(ValueError, match="tokenizer, timm/x, is not on this machine; fetch it"):
        encoder.encode_texts(["a wren"])
