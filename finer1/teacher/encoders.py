"""Text encoders for captions and concepts: unit vectors from a named encoder.

char_ngrams     hashed character 3- to 5-grams (finer1/encoders/char_ngrams.py); needs no model
hf:<model>      a text model of transformers, mean over the tokens of a text
st:<model>      a sentence-transformers model

<model> is a folder, or `<hub id>@<commit>` for files of the hub that are on this disk.

`char_ngrams` knows spelling, not meaning: "crimson cap" is as far from "red crown" as anything.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from finer1.encoders.char_ngrams import encode_char_ngrams
from finer1.engines.local_models import find_text_model
from finer1.teacher.concepts import Matrix

Encoder = Callable[[Sequence[str]], Matrix]
"""N texts -> [N, D], rows of length 1; a text without any content gives a zero row."""

BATCH_SIZE = 64
"""Texts a model embeds at once."""
MAX_TOKENS = 512
"""A model sees so many tokens of a text, or as many as it can take; captions have up to 256."""


def load_encoder(name: str, home: Path, device: str) -> Encoder:
    """The encoder of this name, running on `device`: cpu, cuda or auto.

    home: what a relative folder is relative to. Models come from this machine alone; the log says
    what the model is by its content or commit. Raises ValueError when the name is unknown, the
    model is not there, runs code of its own or its package is not installed.
    """
    if name == "char_ngrams":
        return encode_char_ngrams
    kind, _, model = name.partition(":")
    if kind not in ("hf", "st") or not model:
        raise ValueError(
            f"concepts.encoder: {name!r} is unknown; use char_ngrams, hf:<model> or st:<model>, "
            "such as st:models/all-mpnet-base-v2"
        )
    found = find_text_model(f"concepts.encoder: {kind}", model, home)
    load = _load_transformers if kind == "hf" else _load_sentence_transformers
    encoder = load(name, found.folder, device)
    logging.getLogger(__name__).info("concepts.encoder: %s is %s", name, found.identity)
    return encoder


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Names the encoder in what a package says of a model that is not there or is none."""
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        if getattr(error, "errno", None):
            raise  # the machine's trouble, not the model's
        text = " ".join(str(error).split())
        reason = text if len(text) <= 200 else f"{text[:200]}..."
        raise ValueError(
            f"concepts.encoder: {name} cannot be loaded: {reason}; give the folder of a text "
            "model, or fetch the model to this machine first"
        ) from error


def _load_transformers(name: str, source: Path, device: str) -> Encoder:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from finer1.policy.folder import pick_device

    with _loading(name):
        _check_no_own_code(source)
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=True, trust_remote_code=False
        )
        model = AutoModel.from_pretrained(
            source,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    if tokenizer.pad_token is None:
        raise ValueError(f"concepts.encoder: {name} has no padding token; use another text model")
    place = pick_device(device)
    model.eval().requires_grad_(False).to(place)
    most = min(tokenizer.model_max_length, MAX_TOKENS)

    @torch.no_grad()
    def encode_batch(texts: Sequence[str]) -> Matrix:
        batch = tokenizer(
            list(texts), padding=True, truncation=True, max_length=most, return_tensors="pt"
        ).to(place)
        states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        # A mean up to its length, which the norm takes away; a text without tokens stays zero.
        total = torch.nn.functional.normalize((states * mask).sum(dim=1).double(), dim=-1)
        return np.asarray(total.cpu().numpy())

    return _batched(encode_batch)


def _load_sentence_transformers(name: str, source: Path, device: str) -> Encoder:
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise ValueError(
            f"concepts.encoder: {name} needs the package sentence-transformers; install it, or "
            "use hf:<model> or char_ngrams"
        ) from error
    from finer1.policy.folder import pick_device

    with _loading(name):
        _check_no_own_code(source)
        encoder = SentenceTransformer(
            str(source),
            device=pick_device(device),
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )

    def encode(texts: Sequence[str]) -> Matrix:
        vectors = encoder.encode(
            list(texts),
            batch_size=BATCH_SIZE,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float64)

    return encode


def _check_no_own_code(folder: Path) -> None:
    """Raise ValueError when loading the model would import code of the folder or of its choice."""
    modules = folder / "modules.json"
    if modules.is_file():
        for module in json.loads(modules.read_text(encoding="utf-8")):
            if not str(module["type"]).startswith("sentence_transformers."):
                raise ValueError(f"modules.json names the foreign class {module['type']}")
    for path in sorted(folder.rglob("*config*.json")):
        if "auto_map" in json.loads(path.read_text(encoding="utf-8")):
            raise ValueError(f"{path.relative_to(folder)} has auto_map, which is code of its own")


def _batched(encode_batch: Encoder) -> Encoder:
    """Batches of texts of like length, since padding costs as much as text."""

    def encode(texts: Sequence[str]) -> Matrix:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        parts = [
            encode_batch([texts[place] for place in order[start : start + BATCH_SIZE]])
            for start in range(0, len(order), BATCH_SIZE)
        ]
        return np.concatenate(parts)[np.argsort(order)] if parts else np.zeros((0, 1))

    return encode
