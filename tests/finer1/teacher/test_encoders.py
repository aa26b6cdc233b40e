import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

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
def test_missing_package_is_named():
    with pytest.raises(ValueError, match="needs the package sentence-transformers"):
        load("st:all-MiniLM-L6-v2")


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


def test_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"encoder: hf:nowhere/none cannot be loaded: .*folder of"):
        load("hf:nowhere/none", tmp_path)


def test_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"concepts.encoder: hf:.* cannot be loaded"):
        load(f"hf:{tmp_path}")
