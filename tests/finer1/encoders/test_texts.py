import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from finer1.encoders.texts import load_text_encoder
from finer1.files import sha256_folder

WORDS = ("laysan", "albatross", "sooty", "bird")
TEXTS = ["Laysan Albatross", "a bird", "sooty " * 100]


@pytest.fixture(scope="module")
def tiny_siglip(tmp_path_factory):
    """Folder of a random SigLIP, text tower of 64 positions, with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel

    folder = tmp_path_factory.mktemp("models") / "tiny_siglip"
    vocabulary = {word: place for place, word in enumerate(("<pad>", "<unk>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        model_input_names=["input_ids"],
    ).save_pretrained(folder)
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    torch.manual_seed(0)
    config = SiglipConfig(
        text_config={**sizes, "vocab_size": len(vocabulary), "projection_size": 16},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
    )
    SiglipModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def copied_siglip(tmp_path):
    """Change the configuration of a folder that is a SigLIP by name alone."""

    def make(**changes):
        settings = {"model_type": "siglip", **changes}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        (tmp_path / "tokenizer_config.json").write_text("{}")
        return f"siglip:{tmp_path}"

    return make


@pytest.mark.slow
def test_siglip_gives_what_transformers_gives(tiny_siglip):
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(tiny_siglip)(
        TEXTS, padding="max_length", truncation=True, max_length=64, return_tensors="pt"
    )
    with torch.no_grad():
        features = AutoModel.from_pretrained(tiny_siglip).eval().get_text_features(**tokens)
    expected = torch.nn.functional.normalize(features.pooler_output, dim=-1).numpy()
    encoder = load_text_encoder(f"siglip:{tiny_siglip}", Path(), "cpu")
    assert encoder.encode(TEXTS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_siglip_is_known_by_the_content_of_its_folder(tiny_siglip):
    encoder = load_text_encoder(f"siglip:{tiny_siglip.name}", tiny_siglip.parent, "cpu")
    assert (encoder.identity, encoder.is_spelling) == (sha256_folder(tiny_siglip), False)


@pytest.mark.slow
def test_pickled_weights_of_a_siglip_are_refused(tiny_siglip, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(tiny_siglip, tmp_path / "siglip")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="text encoder .* cannot be loaded"):
        load_text_encoder(f"siglip:{folder}", Path(), "cpu")


@pytest.mark.slow
def test_open_clip_gives_its_text_tower_in_unit_rows(tiny_clip):
    from finer1.encoders.open_clip import load_open_clip

    name = f"open_clip:{tiny_clip}"
    raw = load_open_clip(name, Path(), "cpu")
    encoder = load_text_encoder(name, Path(), "cpu")
    rows = encoder.encode(TEXTS)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
    vectors = raw.encode_texts(TEXTS).numpy()
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert rows == pytest.approx(expected, abs=1e-6)
    assert encoder.identity == raw.sha256


@pytest.mark.parametrize("name", ["bert", "siglip:", "open_clip:", "base_model"])
def test_an_unknown_text_encoder_is_refused_with_what_there_is(name):
    with pytest.raises(ValueError, match=f"text encoder '{name}' is unknown; use char_ngrams"):
        load_text_encoder(name, Path(), "cpu")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"auto_map": {"AutoModel": "own.Model"}}, "has auto_map, which is code of its own"),
        ({"model_type": "bert"}, "is bert, not siglip"),
        ({"text_config": {"max_position_embeddings": 16}}, "takes 16 tokens; .* needs one of 64"),
    ],
)
def test_a_folder_that_is_no_siglip_is_refused(copied_siglip, changes, reason):
    with pytest.raises(ValueError, match=reason):
        load_text_encoder(copied_siglip(**changes), Path(), "cpu")


def test_a_folder_without_tokenizer_is_refused(copied_siglip, tmp_path):
    name = copied_siglip()
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match="tokenizer_config.json is missing; fetch all of the"):
        load_text_encoder(name, Path(), "cpu")


def test_a_siglip_that_is_not_here_is_named():
    with pytest.raises(ValueError, match="siglip:a/b names neither a folder nor a model"):
        load_text_encoder("siglip:a/b", Path(), "cpu")
