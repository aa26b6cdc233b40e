import importlib.util

import numpy as np
import pytest

from finer1.teacher.encoders import load_encoder


def test_rows_have_length_one():
    vectors = load_encoder("char_ngrams")(["red crown", "a long forked tail"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-12)


def test_vector_does_not_depend_on_the_other_texts():
    encode = load_encoder("char_ngrams")
    assert (encode(["red crown", "tail"])[0] == encode(["red crown"])[0]).all()


def test_related_texts_are_nearer_than_unrelated_ones():
    first, near, far = load_encoder("char_ngrams")(["striped breast", "stripes", "hooked beak"])
    assert first @ near > first @ far


def test_text_without_content_gives_zeros():
    assert not load_encoder("char_ngrams")([""]).any()


def test_unknown_encoder_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"concepts.encoder: 'bert' is unknown; use char_ngrams"):
        load_encoder("bert")


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None, reason="it is installed"
)
def test_missing_package_is_named():
    with pytest.raises(ValueError, match="needs the package sentence-transformers"):
        load_encoder("st:all-MiniLM-L6-v2")
