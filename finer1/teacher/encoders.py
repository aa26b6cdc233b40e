"""Text encoders for captions and concepts: unit vectors from a named encoder.

char_ngrams     hashed character 3- to 5-grams within words; needs no model
st:<model>      a sentence-transformers model
"""

from collections.abc import Callable, Sequence

import numpy as np

from finer1.teacher.concepts import Matrix

Encoder = Callable[[Sequence[str]], Matrix]
"""N texts -> [N, D], rows of length 1; a text without any content gives a zero row."""

NGRAMS, FEATURES = (3, 5), 2048
"""Part of what `char_ngrams` means: n-gram lengths and dimensions."""


def load_encoder(name: str) -> Encoder:
    """The encoder of this name.

    Raises ValueError when the name is unknown or its package is not installed.
    """
    if name == "char_ngrams":
        return _char_ngrams
    kind, _, model = name.partition(":")
    if kind != "st" or not model:
        raise ValueError(
            f"concepts.encoder: {name!r} is unknown; use char_ngrams or st:<model>, such as "
            "st:sentence-transformers/all-mpnet-base-v2"
        )
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise ValueError(
            f"concepts.encoder: {name} needs the package sentence-transformers; install it, or "
            "use char_ngrams"
        ) from error
    encoder = SentenceTransformer(model)

    def encode(texts: Sequence[str]) -> Matrix:
        vectors = encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float64)

    return encode


def _char_ngrams(texts: Sequence[str]) -> Matrix:
    # Hashing, not TF-IDF: a text's vector must not depend on which other texts are encoded.
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=NGRAMS, n_features=FEATURES, norm="l2"
    )
    return np.asarray(vectorizer.transform(texts).toarray(), dtype=np.float64)
