import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from finer1.files import sha256_folder
from finer1.teacher.encoders import BATCH_SIZE, load_encoder

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "crown", "long", "tail", "wing")


def load(name, home=Path()):
    return load_encoder(name, home, "cpu")


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """Folder of a random BERT that knows five words, of which it takes six at most."""
    folder = tmp_path_factory.mktemp("models") / "tiny_bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=8)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(WORDS), intermediate_size=32, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


def test_rows_have_length_one():
    vectors = load("char_ngrams")(["red crown", "a long forked tail"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-12)


def test_vector_does_not_depend_on_the_other_texts():
    encode = load("char_ngrams")
    assert (encode(["red crown", "tail"])[0] == encode(["red crown"])[0]).all()


def test_related_texts_are_nearer_than_unrelated_ones():
    first, near, far = load("char_ngrams")(["striped breast", "stripes", "hooked beak"])
    assert first @ near > first @ far


def test_text_without_content_gives_zeros():
    assert not load("char_ngrams")([""]).any()


def test_unknown_encoder_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"concepts.encoder: 'bert' is unknown; use char_ngrams"):
        load("bert")


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None, reason="it is installed"
)
def test_missing_package_is_named(tiny_bert):
    with pytest.raises(ValueError, match="needs the package sentence-transformers"):
        load(f"st:{tiny_bert}")


def test_sentence_transformers_gives_the_same_mean(tiny_bert):
    pytest.importorskip("sentence_transformers")
    texts = ["red crown", "long tail wing"]
    # A folder that says nothing of its own gets the mean over the tokens.
    assert load(f"st:{tiny_bert}")(texts) == pytest.approx(load(f"hf:{tiny_bert}")(texts), abs=1e-6)


def test_sentence_transformers_takes_no_pickled_weights(tiny_bert, tmp_path):
    pytest.importorskip("sentence_transformers")
    folder = shutil.copytree(tiny_bert, tmp_path / "bert")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"st:.* cannot be loaded: .*safetensors"):
        load(f"st:{folder}")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("modules.json", [{"type": "os.system"}], "foreign class os.system"),
        ("1_Own/config.json", {"auto_map": {"AutoModel": "own.Model"}}, "1_Own/config.* auto_map"),
    ],
)
def test_sentence_transformers_runs_no_code_of_a_folder(tiny_bert, tmp_path, file, content, reason):
    pytest.importorskip("sentence_transformers")
    folder = shutil.copytree(tiny_bert, tmp_path / "bert")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"st:.* cannot be loaded: .*{reason}"):
        load(f"st:{folder}")


def test_the_log_names_the_content_of_the_model(tiny_bert, caplog):
    with caplog.at_level("INFO"):
        load(f"hf:{tiny_bert}")
    assert f"hf:{tiny_bert} is {sha256_folder(tiny_bert)}" in caplog.text


def test_transformers_model_gives_the_mean_over_the_tokens(tiny_bert):
    text = "red crown"
    # [CLS] red crown [SEP]
    tokens = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        states = BertModel.from_pretrained(tiny_bert).eval()(tokens).last_hidden_state[0]
    mean = states.mean(dim=0).double().numpy()
    (vector,) = load(f"hf:{tiny_bert}")([text])
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_batch_and_padding_do_not_change_a_vector(tiny_bert):
    encode = load(f"hf:{tiny_bert}")
    texts = ["red", "long tail wing crown", "red crown"] * BATCH_SIZE
    alone = np.concatenate([encode([text]) for text in texts[:3]])
    # float32 sums in another order
    assert encode(texts) == pytest.approx(np.tile(alone, (BATCH_SIZE, 1)), abs=1e-5)


def test_long_text_is_cut_to_what_the_model_takes(tiny_bert):
    cut, long = load(f"hf:{tiny_bert}")(["red " * 6, "red " * 600])
    assert long == pytest.approx(cut, abs=1e-5)


def test_folder_may_be_relative_to_the_project(tiny_bert):
    home, name = tiny_bert.parent, tiny_bert.name
    assert load(f"hf:{name}", home)(["tail"]).shape == (1, 16)


def test_no_text_is_no_row(tiny_bert):
    assert len(load(f"hf:{tiny_bert}")([])) == 0


@pytest.mark.parametrize("name", ["hf:nowhere/none", "st:nowhere/none@main"])
def test_model_by_a_name_that_may_change_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=rf"encoder: {name} names neither a folder nor a model of"):
        load(name, tmp_path)


def test_model_that_was_not_fetched_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"encoder: hf:a/b@0+: the model a/b is not on this disk"):
        load(f"hf:a/b@{'0' * 40}", tmp_path)


def test_folder_without_a_model_is_named(tmp_path):
    (tmp_path / "README.md").write_text("no model")
    with pytest.raises(ValueError, match=r"concepts.encoder: hf:.* cannot be loaded"):
        load(f"hf:{tmp_path}")
