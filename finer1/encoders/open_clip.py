"""Embeddings by an open_clip model: a published one, or a checkpoint of one's own.

`open_clip:<model>:<tag>` is one of open_clip's own list, whose weights must be on this machine (a
stage asks no network unless HF_HUB_OFFLINE=0). `open_clip:<model>:<file>` takes the weights from a
file, `open_clip:<folder>` all from a folder with open_clip_config.json beside the weights. Weights
are safetensors, or pickles that hold nothing but tensors. A folder whose tokenizer or text tower
is made by another library is refused, since that one may run code of the folder; no code comes
along.
"""

import json
import pickle
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.pretrained import get_pretrained_cfg
from PIL import Image
from safetensors import SafetensorError

from finer1.encoders.interface import TextImageEncoder, hash_weights, in_batches
from finer1.policy.folder import pick_device

CONFIG = "open_clip_config.json"
_LENT = ("hf_tokenizer_name", "hf_model_name", "tokenizer_kwargs")
"""Keys of CONFIG that hand the folder to transformers, with arguments such as trust_remote_code."""
_CODE_KEYS = {
    CONFIG: (*_LENT, "auto_map"),
    "config.json": ("auto_map",),
    "tokenizer_config.json": ("auto_map",),
}
"""File of a folder -> keys that can make a library run code from it."""
_RECIPE = "open_clip 1"
"""Enters the identity; a change of what is computed takes a new number."""
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth")
"""What open_clip looks for in a folder."""
_UNFIT = (
    *(ValueError, KeyError, TypeError, AttributeError, AssertionError, EOFError),
    SafetensorError,
)
"""What a configuration or file that is no model makes open_clip and torch raise."""
_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)


def load_open_clip(name: str, home: Path, device: str) -> TextImageEncoder:
    """The encoder of that name, its towers on `device`: cpu, cuda or auto.

    home: what a relative folder or file is relative to. Raises ValueError when open_clip has no
    such model or weights, or when they do not load.
    """
    kind, _, rest = name.partition(":")
    if kind != "open_clip" or not rest:
        raise ValueError(
            f"encoder {name!r} has no text tower; use open_clip:<model>:<tag or checkpoint file> "
            "or open_clip:<folder>"
        )
    source, pretrained = _locate(name, rest, home)
    published = get_pretrained_cfg(source, pretrained) if pretrained else {}
    # Some tags were trained with another activation than the model's own configuration has;
    # open_clip only warns, and the embeddings would be wrong.
    has_quick_gelu = bool(published.get("quick_gelu", False))
    model, transform = _load(name, source, pretrained, has_quick_gelu)
    settings = open_clip.get_model_config(source), open_clip.get_model_preprocess_cfg(model)
    sha256 = hash_weights(model.state_dict(), [_RECIPE, has_quick_gelu, *settings])
    place = pick_device(device)
    model.eval().requires_grad_(False).to(place)
    # Made when a text comes: the image tower alone needs none, and one may have to be downloaded.
    tokenizer = cache(lambda: _load_tokenizer(name, source))

    @torch.no_grad()
    def encode(images: Sequence[Image.Image]) -> torch.Tensor:
        parts = []
        for part in in_batches(images):
            pixels = torch.stack([transform(image) for image in images[part]])
            parts.append(model.encode_image(pixels.to(place)).float().cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def encode_texts(texts: Sequence[str]) -> torch.Tensor:
        parts = []
        for part in in_batches(texts):
            tokens = tokenizer()(list(texts[part]))
            parts.append(model.encode_text(tokens.to(place)).float().cpu())
        return torch.cat(parts)

    return TextImageEncoder(name, sha256, encode, encode_texts)


def _locate(name: str, rest: str, home: Path) -> tuple[str, str | None]:
    """What open_clip calls model and weights."""
    folder = home / rest
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise ValueError(f"encoder {name!r}: {folder} holds no {CONFIG}")
        if not any(path for pattern in _WEIGHTS for path in folder.glob(pattern)):
            raise ValueError(f"encoder {name!r}: {folder} holds no weights ({', '.join(_WEIGHTS)})")
        _refuse_code(name, folder)
        return f"local-dir:{folder}", None
    model, _, weights = rest.partition(":")
    if model not in open_clip.list_models():
        raise ValueError(
            f"encoder {name!r}: {model!r} is neither a folder nor a model of open_clip; "
            "open_clip.list_models() names them"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if weights in tags:
        return model, weights
    if not weights or not (home / weights).is_file():
        raise ValueError(
            f"encoder {name!r}: {weights!r} is neither a file nor a tag of {model}; tags: "
            f"{', '.join(tags) or 'none'}"
        )
    return model, str(home / weights)


def _refuse_code(name: str, folder: Path) -> None:
    """Raise ValueError when a configuration in the folder can make a library run code from it."""
    for file, keys in _CODE_KEYS.items():
        path = folder / file
        if not path.is_file():
            continue
        try:
            wrong = sorted(set(_keys_in_use(json.loads(path.read_bytes()))) & {*keys})
        except (ValueError, RecursionError) as error:
            reason = f"{path} is no JSON ({_first_line(error)})"
            raise ValueError(f"encoder {name!r} cannot be loaded: {reason}") from error
        if wrong:
            raise ValueError(
                f"encoder {name!r}: {path} has {', '.join(wrong)}, which can run code that lies in "
                "the folder; take the weights of a model that open_clip lists, "
                "open_clip:<model>:<file>"
            )


def _keys_in_use(value: object) -> Iterator[str]:
    """The keys of all mappings in a JSON value that have a value themselves."""
    if isinstance(value, dict):
        yield from (key for key, item in value.items() if item)
    for item in value.values() if isinstance(value, dict) else ():
        yield from _keys_in_use(item)
    for item in value if isinstance(value, list) else ():
        yield from _keys_in_use(item)


def _load(name: str, source: str, pretrained: str | None, has_quick_gelu: bool) -> tuple[Any, Any]:
    try:
        return open_clip.create_model_from_pretrained(
            source, pretrained=pretrained, force_quick_gelu=has_quick_gelu
        )
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) or _MEMORY.search(str(error)):
            raise  # the machine's trouble, not the checkpoint's
        reason = _first_line(error)
        if "download" in reason.lower() or isinstance(error, OSError):
            reason += "; fetch the weights first, or let the stage do so with HF_HUB_OFFLINE=0"
        raise ValueError(f"encoder {name!r} cannot be loaded: {reason}") from error
    except pickle.UnpicklingError as error:
        # torch's own message advises to run what is in the file.
        raise ValueError(
            f"encoder {name!r} cannot be loaded: the file is neither safetensors nor a pickle of "
            "tensors alone"
        ) from error
    except _UNFIT as error:
        raise ValueError(f"encoder {name!r} cannot be loaded: {_first_line(error)}") from error


def _load_tokenizer(name: str, source: str) -> Any:
    """The tokenizer; that of SigLIP models lies on the hub, apart from the weights."""
    try:
        return open_clip.get_tokenizer(source)
    except OSError as error:
        if error.errno:
            raise  # the machine's trouble
        lent = (open_clip.get_model_config(source) or {})["text_cfg"].get("hf_tokenizer_name")
        raise ValueError(
            f"encoder {name!r}: its tokenizer, {lent}, is not on this machine; fetch it first (hf "
            f"download {lent}), or let the stage do so with HF_HUB_OFFLINE=0"
        ) from error


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}..."
