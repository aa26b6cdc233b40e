"""The models and the groups that are measured, as literal numbers; weights are random."""

from dataclasses import dataclass
from typing import Any

import torch

IMAGE_TOKEN, VIDEO_TOKEN, VISION_START, VISION_END = 1, 2, 3, 4
FIRST_TEXT_TOKEN = 8
"""Smaller ids are special: text is drawn from here on."""


@dataclass(frozen=True)
class ModelShape:
    """A Qwen2.5-VL: text decoder, then vision tower."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    mrope_section: tuple[int, int, int]
    vision_hidden: int
    vision_depth: int
    vision_heads: int
    vision_intermediate: int
    full_attention: tuple[int, ...]
    """Blocks of the tower that see the whole image; the others see windows."""
    window: int
    """Side of a window, pixels."""
    patch: int = 14


TRIAL = ModelShape(
    hidden=256,
    layers=6,
    heads=8,
    kv_heads=2,
    intermediate=512,
    vocabulary=4096,
    mrope_section=(4, 6, 6),
    vision_hidden=128,
    vision_depth=6,
    vision_heads=4,
    vision_intermediate=320,
    full_attention=(2, 5),
    window=112,
)
"""Decoder 4.4 M parameters, tower 1.7 M: what one CPU thread can compare."""

QWEN_3B = ModelShape(
    hidden=2048,
    layers=36,
    heads=16,
    kv_heads=2,
    intermediate=11008,
    vocabulary=151936,
    mrope_section=(16, 24, 24),
    vision_hidden=1280,
    vision_depth=32,
    vision_heads=16,
    vision_intermediate=3420,
    full_attention=(7, 15, 23, 31),
    window=112,
)
"""Qwen2.5-VL-3B-Instruct."""

TINY = ModelShape(
    hidden=64,
    layers=2,
    heads=4,
    kv_heads=2,
    intermediate=96,
    vocabulary=128,
    mrope_section=(2, 3, 3),
    vision_hidden=32,
    vision_depth=2,
    vision_heads=2,
    vision_intermediate=48,
    full_attention=(1,),
    window=56,
)
"""For the smoke tests."""


@dataclass(frozen=True)
class GroupShape:
    """One prompt under two images, and its rollouts."""

    text_tokens: int
    """Of the prompt, the image tokens not counted."""
    anchor: tuple[int, int]
    """Patches of the anchor image, height and width, both even."""
    negative: tuple[int, int]
    completion_tokens: int
    """Mean; the lengths are ragged, 10 % around it (R)."""
    rollouts: int
    """n"""

    def prompt_tokens(self, image: tuple[int, int]) -> int:
        """Length of the prompt with this image: four patches are a token (P)."""
        return self.text_tokens + image[0] * image[1] // 4

    @property
    def name(self) -> str:
        """For tables."""
        prompt = self.prompt_tokens(self.anchor)
        return f"P {prompt} R {self.completion_tokens} n {self.rollouts}"


@torch.no_grad()
def build_model(shape: ModelShape, seed: int, device: str, dtype: torch.dtype) -> Any:
    """A Qwen2_5_VLForConditionalGeneration with random weights, in training mode."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    config = model_config(shape)
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=dtype)
    # Biases and norms start at 0 and 1, where an error in them would not show.
    generator = torch.Generator(device).manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            noise = torch.randn(parameter.shape, generator=generator, device=device)
            parameter.add_(0.02 * noise.to(dtype))
    return model.train()


def set_dtype(model: Any, dtype: torch.dtype) -> None:
    """Change the weights' format; buffers (rotary frequencies) stay float32, as in training."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def model_config(shape: ModelShape) -> Any:
    """The Qwen2_5_VLConfig of a shape."""
    from transformers import Qwen2_5_VLConfig

    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "max_position_embeddings": 32768,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": list(shape.mrope_section),
            },
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": 0,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": shape.vision_depth,
            "hidden_size": shape.vision_hidden,
            "intermediate_size": shape.vision_intermediate,
            "num_heads": shape.vision_heads,
            "patch_size": shape.patch,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": shape.hidden,
            "window_size": shape.window,
            "fullatt_block_indexes": list(shape.full_attention),
        },
        image_token_id=IMAGE_TOKEN,
        video_token_id=VIDEO_TOKEN,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
        tie_word_embeddings=True,
    )
