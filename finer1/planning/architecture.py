"""The sizes of a Qwen2-VL or Qwen2.5-VL, from its config.json, and its parameters by part.

Shape letters: h hidden, c hidden of the tower, i intermediate.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PUBLISHED = Path(__file__).parents[1] / "reference/architectures.json"


@dataclass(frozen=True)
class Decoder:
    """The language model."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    is_tied: bool
    """The head shares the embedding's weights."""

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden // self.heads

    @property
    def kv_width(self) -> int:
        """Width of the keys of a token in a layer; values have the same."""
        return self.kv_heads * self.head_dim

    @property
    def layer_linear(self) -> int:
        """Weights of the linear layers of one layer, without biases."""
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_width
        return attention + 3 * self.hidden * self.intermediate

    @property
    def layer(self) -> int:
        """Parameters of one layer; query, key and value have biases, norms a weight."""
        return self.layer_linear + self.hidden + 2 * self.kv_width + 2 * self.hidden

    @property
    def embedding(self) -> int:
        """Parameters of the embedding; an untied head has as many."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of it, embedding, last norm and head included."""
        tables = self.embedding * (1 if self.is_tied else 2)
        return tables + self.layers * self.layer + self.hidden


@dataclass(frozen=True)
class Tower:
    """The vision tower: blocks over patches, then a merger of four patches to a token."""

    hidden: int
    depth: int
    heads: int
    intermediate: int
    out: int
    """Width of an image token, the decoder's."""
    patch: int
    """Side of a patch, pixels."""
    is_gated: bool
    """Qwen2.5-VL: SwiGLU and RMSNorm; else Qwen2-VL: two layers with QuickGELU and LayerNorm."""
    full_blocks: int
    """Blocks that see the whole image; the others see windows."""
    window: int
    """Patches along a window's side; 0 where no block has windows."""

    @property
    def patch_values(self) -> int:
        """Numbers of one patch as the tower is given it: two frames of three channels."""
        return 2 * 3 * self.patch**2

    @property
    def block_linear(self) -> int:
        """Weights of the linear layers of one block, without biases."""
        mlp = (3 if self.is_gated else 2) * self.hidden * self.intermediate
        return 4 * self.hidden**2 + mlp

    @property
    def block(self) -> int:
        """Parameters of one block; all linear layers have biases."""
        biases = 4 * self.hidden + (2 if self.is_gated else 1) * self.intermediate + self.hidden
        return self.block_linear + biases + self._norms(2)

    @property
    def merger_linear(self) -> int:
        """Weights of the merger's two linear layers, without biases."""
        merged = 4 * self.hidden
        return merged * merged + merged * self.out

    @property
    def merger(self) -> int:
        """Parameters of the merger."""
        return self.merger_linear + 4 * self.hidden + self.out + self._norms(1)

    @property
    def parameters(self) -> int:
        """All of it."""
        return self.patch_values * self.hidden + self.depth * self.block + self.merger

    def _norms(self, count: int) -> int:
        return count * self.hidden * (1 if self.is_gated else 2)


@dataclass(frozen=True)
class Architecture:
    """A model with its two parts."""

    name: str
    decoder: Decoder
    tower: Tower

    @property
    def parameters(self) -> int:
        """All of it."""
        return self.decoder.parameters + self.tower.parameters

    def trained(self, train_vision: bool) -> int:
        """Parameters that full fine-tuning trains."""
        return self.decoder.parameters + (self.tower.parameters if train_vision else 0)

    def adapters(self, rank: int, targets: tuple[str, ...], train_vision: bool) -> int:
        """Parameters of LoRA adapters of this rank on the linear layers named so."""
        total = self.decoder.layers * _adapters(rank, targets, _decoder_layers(self.decoder))
        if train_vision:
            total += self.tower.depth * _adapters(rank, targets, _tower_layers(self.tower))
        return total


def read_architecture(config: Mapping[str, Any], name: str) -> Architecture:
    """The sizes in a config.json, text settings nested (transformers 5) or not (as published).

    Raises ValueError for another model type or a missing size.
    """
    kind = config.get("model_type")
    if kind not in ("qwen2_vl", "qwen2_5_vl"):
        raise ValueError(
            f"{name}: planning knows qwen2_vl and qwen2_5_vl, not the model type {kind}; choose "
            "such a base for `finer1 plan`"
        )
    try:
        return _read(config, name, is_gated=kind == "qwen2_5_vl")
    except KeyError as error:
        raise ValueError(f"{name}: config.json does not say {error.args[0]}") from error


def _read(config: Mapping[str, Any], name: str, is_gated: bool) -> Architecture:
    text, vision = config.get("text_config", config), config["vision_config"]
    hidden = vision["hidden_size"] if is_gated else vision["embed_dim"]
    full = len(vision["fullatt_block_indexes"]) if is_gated else vision["depth"]
    return Architecture(
        name=name,
        decoder=Decoder(
            hidden=text["hidden_size"],
            layers=text["num_hidden_layers"],
            heads=text["num_attention_heads"],
            kv_heads=text["num_key_value_heads"],
            intermediate=text["intermediate_size"],
            vocabulary=text["vocab_size"],
            is_tied=config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)),
        ),
        tower=Tower(
            hidden=hidden,
            depth=vision["depth"],
            heads=vision["num_heads"],
            intermediate=vision["intermediate_size"] if is_gated else hidden * vision["mlp_ratio"],
            out=text["hidden_size"],
            patch=vision["patch_size"],
            is_gated=is_gated,
            full_blocks=full,
            window=vision["window_size"] // vision["patch_size"] if is_gated else 0,
        ),
    )


@cache
def published_configs() -> Mapping[str, Any]:
    """Hub id -> the sizes in its config.json (finer1/reference/architectures.json)."""
    loaded: Mapping[str, Any] = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    return loaded


def find_architecture(folder: Path) -> tuple[Architecture, str]:
    """The sizes of the model in `folder`, and where they are from.

    Without a config.json there, those of the published model of the folder's name. Raises
    ValueError when there is neither.
    """
    path = folder / "config.json"
    if path.is_file():
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        return read_architecture(config, folder.name), str(path)
    for hub_id, config in published_configs().items():
        if hub_id.rpartition("/")[2] == folder.name:
            return read_architecture(config, folder.name), f"the published config.json of {hub_id}"
    known = ", ".join(name.rpartition("/")[2] for name in published_configs())
    raise ValueError(
        f"paths.base is {folder}, which has no config.json, and its name is none of {known}; "
        "download a model into that folder, or name the folder as one of these"
    )


def missing_weights(folder: Path) -> str | None:
    """What to fetch into `folder` before a run can start; None when weights are there."""
    if any(folder.glob("*.safetensors")):
        return None
    ids = [hub_id for hub_id in published_configs() if hub_id.rpartition("/")[2] == folder.name]
    source = ids[0] if ids else "a Qwen2-VL or Qwen2.5-VL"
    return f"{folder} holds no weights; download {source} (safetensors, tokenizer, processor) to it"


def _decoder_layers(decoder: Decoder) -> dict[str, int]:
    """Name of a linear layer -> inputs + outputs."""
    hidden, intermediate = decoder.hidden, decoder.intermediate
    return {
        "q_proj": 2 * hidden,
        "k_proj": hidden + decoder.kv_width,
        "v_proj": hidden + decoder.kv_width,
        "o_proj": 2 * hidden,
        "gate_proj": hidden + intermediate,
        "up_proj": hidden + intermediate,
        "down_proj": hidden + intermediate,
    }


def _tower_layers(tower: Tower) -> dict[str, int]:
    both = tower.hidden + tower.intermediate
    layers = {"qkv": 4 * tower.hidden, "proj": 2 * tower.hidden}
    names = ("gate_proj", "up_proj", "down_proj") if tower.is_gated else ("fc1", "fc2")
    return layers | dict.fromkeys(names, both)


def _adapters(rank: int, targets: tuple[str, ...], layers: Mapping[str, int]) -> int:
    return rank * sum(size for name, size in layers.items() if name in targets)
