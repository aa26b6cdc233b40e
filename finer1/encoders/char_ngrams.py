"""Texts as hashed character 3- to 5-grams within words: spelling, not meaning, without a model.

"crimson cap" is as far from "red crown" as anything.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NGRAMS, FEATURES = (3, 5), 2048
"""Part of what `char_ngrams` means: n-gram lengths and dimensions."""
RECIPE = f"char_ngrams {NGRAMS[0]}-{NGRAMS[1]} in {FEATURES} 1"
"""The identity; a change of what is computed takes a new number."""


def encode_char_ngrams(texts: Sequence[str]) -> NDArray[np.float64]:
    """N texts -> [N, FEATURES], rows of length 1; a text without any word gives a zero row."""
    # Hashing, not TF-IDF: a text's vector must not depend on which other texts are encoded.
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=NGRAMS, n_features=FEATURES, norm="l2"
    )
    return np.asarray(vectorizer.transform(texts).toarray(), dtype=np.float64)
