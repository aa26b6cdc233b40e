"""The base's architecture: a real Qwen2.5-VL or Qwen2-VL, small enough to train on two cores.

About 1.5 million parameters; an image of 64 x 64 pixels becomes 8 x 8 patches and, merged two
by two, 16 visual tokens. Sizes come from a recipe (recipe.py).
"""

import json
from typing import Any, TypeAlias

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AddedToken,
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from finer1.prompts import SECTIONS
from finer1.world.drawing import SIZE
from finer1.world.recipe import Architecture

Model: TypeAlias = Qwen2_5_VLForConditionalGeneration | Qwen2VLForConditionalGeneration
Processor: TypeAlias = Qwen2_5_VLProcessor | Qwen2VLProcessor

PATCH = 8
MERGE = 2
IMAGE_TOKENS = (SIZE // PATCH // MERGE) ** 2
MAX_VOCABULARY = 2048
"""Bound on the tokens; merging ends at about 910, when every piece is one token, with the
embedded taxonomy, at about 1090 with a large one."""

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TAGS = tuple(f"<{end}{name}>" for name in ("think", "answer", *SECTIONS) for end in ("", "/"))
"""Ordinary (decodable) single tokens, so that a rationale's frame costs few tokens."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}"
    "{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
"""Qwen's turns; a system message only where one is given."""

# The split of Qwen's own tokenizer, so that any text encodes as it would there.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(pieces: list[str]) -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer in which each of `pieces`, words or spaced words, is one token."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY - len(SPECIAL_TOKENS) - len(TAGS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(pieces, trainer)
    vocabulary, merges = _vocabulary_and_merges(bpe)
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        model_max_length=2048,
    )
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return tokenizer


def _vocabulary_and_merges(bpe: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a trained BPE model."""
    state = json.loads(bpe.to_str())["model"]
    return state["vocab"], [tuple(pair) for pair in state["merges"]]


def build_processor(tokenizer: Qwen2Tokenizer, architecture: Architecture) -> Processor:
    """Tokenizer, image and video processor, chat template."""
    shape = {
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": 2,
        "size": {"shortest_edge": SIZE * SIZE, "longest_edge": SIZE * SIZE},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    kind = Qwen2VLProcessor if architecture.family == "qwen2_vl" else Qwen2_5_VLProcessor
    return kind(
        image_processor=Qwen2VLImageProcessor(**shape),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**shape),
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: Qwen2Tokenizer, architecture: Architecture, seed: int) -> Model:
    """The model with random weights, float32, on the CPU."""
    token = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL_TOKENS}
    config = _config(tokenizer, architecture, token)
    is_older = architecture.family == "qwen2_vl"
    kind = Qwen2VLForConditionalGeneration if is_older else Qwen2_5_VLForConditionalGeneration
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config).float()
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=[token["<|im_end|>"], token["<|endoftext|>"]],
        pad_token_id=token["<|endoftext|>"],
    )
    return model


def _config(
    tokenizer: Qwen2Tokenizer, architecture: Architecture, token: dict[str, int]
) -> Qwen2_5_VLConfig | Qwen2VLConfig:
    """token: ids of the special tokens."""
    text = architecture.text
    kind = Qwen2VLConfig if architecture.family == "qwen2_vl" else Qwen2_5_VLConfig
    return kind(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "num_hidden_layers": text.num_layers,
            "num_attention_heads": text.num_heads,
            "num_key_value_heads": text.num_key_value_heads,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": text.mrope_section,
            },
            "bos_token_id": None,
            "eos_token_id": token["<|im_end|>"],
            "pad_token_id": token["<|endoftext|>"],
            "tie_word_embeddings": True,
        },
        vision_config=_vision_config(architecture),
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def _vision_config(architecture: Architecture) -> dict[str, Any]:
    """Qwen2.5-VL has windows, here as large as an image, and Qwen2-VL none."""
    vision, width = architecture.vision, architecture.text.hidden_size
    shared = {
        "depth": vision.num_layers,
        "num_heads": vision.num_heads,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
    }
    if architecture.family == "qwen2_vl":
        return {
            **shared,
            "embed_dim": vision.hidden_size,
            "hidden_size": width,
            "mlp_ratio": vision.intermediate_size // vision.hidden_size,
        }
    return {
        **shared,
        "hidden_size": vision.hidden_size,
        "intermediate_size": vision.intermediate_size,
        "out_hidden_size": width,
        "window_size": SIZE,
        "fullatt_block_indexes": list(range(vision.num_layers)),
    }
