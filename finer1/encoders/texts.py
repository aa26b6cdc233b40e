"""Text encoders by name, for how like two names are.

char_ngrams                     spelling alone; needs no model
siglip:<model>                  the text tower of a SigLIP model of transformers; <model> is a
                                folder, or <owner>/<name>@<commit> for files on this disk
open_clip:<model>:<tag or file>, open_clip:<folder>     finer1/encoders/open_clip.py
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finer1.encoders.char_ngrams import RECIPE, encode_char_ngrams
from finer1.encoders.interface import BATCH_SIZE

Matrix = NDArray[np.float64]
MAX_TOKENS = 64
"""Length to which SigLIP's texts are padded and cut; its text towers are trained with no other."""


@dataclass(frozen=True)
class TextEncoder:
    """A named function from texts to unit vectors."""

    name: str
    """As in params.yaml."""
    identity: str
    """Names its content: SHA-256, or `<hub id>@<commit>`."""
    is_spelling: bool
    """It knows spelling alone, no meaning."""
    encode: Callable[[Sequence[str]], Matrix]
    """N texts -> [N, D], rows of length 1; zero rows for texts without content are allowed."""


def load_text_encoder(name: str, home: Path, device: str) -> TextEncoder:
    """The encoder of this name, running on `device`: cpu, cuda or auto.

    home: what a relative folder is relative to. Nothing is fetched, no code of a model is run.
    Raises ValueError when the name is unknown or the model is not there or does not load.
    """
    kind, _, model = name.partition(":")
    if name == "char_ngrams":
        identity = hashlib.sha256(RECIPE.encode()).hexdigest()
        return TextEncoder(name, identity, True, encode_char_ngrams)
    if kind == "siglip" and model:
        return _load_siglip(name, model, home, device)
    if kind == "open_clip" and model:
        return _load_open_clip(name, home, device)
    raise ValueError(
        f"text encoder {name!r} is unknown; use char_ngrams, siglip:<folder>, "
        "siglip:<owner>/<name>@<commit>, open_clip:<model>:<tag or file> or open_clip:<folder>"
    )


def _load_open_clip(name: str, home: Path, device: str) -> TextEncoder:
    from finer1.encoders.open_clip import load_open_clip

    encoder = load_open_clip(name, home, device)

    def encode(texts: Sequence[str]) -> Matrix:
        return _unit(encoder.encode_texts(texts))

    return TextEncoder(name, encoder.sha256, False, encode)


def _load_siglip(name: str, model_name: str, home: Path, device: str) -> TextEncoder:
    import torch

    from finer1.engines.local_models import find_text_model
    from finer1.policy.folder import pick_device

    found = find_text_model("siglip", model_name, home)
    tokenizer, model = _read_siglip(name, found.folder)
    place = pick_device(device)
    model.eval().requires_grad_(False).to(place)

    @torch.no_grad()
    def encode(texts: Sequence[str]) -> Matrix:
        parts = []
        for start in range(0, len(texts), BATCH_SIZE):
            tokens = tokenizer(
                list(texts[start : start + BATCH_SIZE]),
                padding="max_length",
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            parts.append(_unit(model.get_text_features(**tokens.to(place)).pooler_output))
        return np.concatenate(parts)

    return TextEncoder(name, found.identity, False, encode)


def _read_siglip(name: str, folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model of a folder, both towers, float32."""
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import is_sentencepiece_available

    _check_siglip(name, folder)
    if (folder / "spiece.model").is_file() and not is_sentencepiece_available():
        # transformers would take tokenizer.json instead, which splits some texts otherwise.
        raise ValueError(
            f"text encoder {name!r} needs the package sentencepiece; install it, or use "
            "char_ngrams or open_clip:<model>:<tag or file>"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model = AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, KeyError, ValueError) as error:
        if getattr(error, "errno", None):
            raise  # the machine's trouble, not the model's
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"text encoder {name!r} cannot be loaded: {reason}") from error
    return tokenizer, model


def _check_siglip(name: str, folder: Path) -> None:
    """Raise ValueError unless the folder holds a SigLIP model that brings no code of its own."""
    settings: dict[str, Any] = {}
    for file in ("config.json", "tokenizer_config.json"):
        path = folder / file
        if not path.is_file():
            raise ValueError(f"text encoder {name!r}: {path} is missing; fetch all of the model")
        try:
            settings[file] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"text encoder {name!r}: {path} is no JSON ({error})") from error
        if "auto_map" in settings[file]:
            raise ValueError(
                f"text encoder {name!r}: {path} has auto_map, which is code of its own"
            )
    kind = settings["config.json"].get("model_type")
    if kind not in ("siglip", "siglip2"):
        raise ValueError(
            f"text encoder {name!r}: the model in {folder} is {kind}, not siglip or siglip2"
        )
    positions = settings["config.json"].get("text_config", {}).get("max_position_embeddings")
    if positions is not None and positions < MAX_TOKENS:
        raise ValueError(
            f"text encoder {name!r}: its text tower takes {positions} tokens; the similarity needs "
            f"one of {MAX_TOKENS}"
        )


def _unit(features: Any) -> Matrix:
    """Rows of length 1 in float64 of a tensor [N, D]."""
    import torch

    rows = torch.nn.functional.normalize(features.double().cpu(), dim=-1)
    return np.asarray(rows.numpy(), dtype=np.float64)
