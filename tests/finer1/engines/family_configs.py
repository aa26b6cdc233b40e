"""Configuration and processor of a tiny model of each architecture.

Heads have 32 dimensions, the least that vLLM takes on a CPU.
"""

HIDDEN, HEADS, KEY_VALUE_HEADS = 64, 2, 1
SPREAD = 0.2
"""Standard deviation of the weights: at the usual 0.02 every image gives the same words."""
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_VALUE_HEADS,
    "max_position_embeddings": 2048,
    "initializer_range": SPREAD,
}
VISION = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": SPREAD,
}


def _text(tokenizer, **more):
    return {
        **TEXT,
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **more,
    }


def _qwen2(family, tokenizer):
    from transformers import Qwen2VLConfig, Qwen2VLProcessor

    vision = {
        "depth": 2,
        "embed_dim": 64,
        "hidden_size": HIDDEN,
        "mlp_ratio": 2,
        "num_heads": 2,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "initializer_range": SPREAD,
    }
    config = Qwen2VLConfig(
        text_config=_text(tokenizer, rope_parameters=_mrope([4, 6, 6])),
        vision_config=vision,
        **_qwen_ids(tokenizer),
    )
    return config, _qwen_processor(Qwen2VLProcessor, tokenizer, family, patch_size=8)


def _qwen2_5(family, tokenizer):
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLProcessor

    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "window_size": 32,
        "fullatt_block_indexes": [1],
        "out_hidden_size": HIDDEN,
        "initializer_range": SPREAD,
    }
    config = Qwen2_5_VLConfig(
        text_config=_text(tokenizer, rope_parameters=_mrope([4, 6, 6])),
        vision_config=vision,
        **_qwen_ids(tokenizer),
    )
    return config, _qwen_processor(Qwen2_5_VLProcessor, tokenizer, family, patch_size=8)


def _qwen3(family, tokenizer):
    from transformers import Qwen3VLConfig, Qwen3VLProcessor

    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
        "initializer_range": SPREAD,
    }
    rope = _mrope([4, 6, 6]) | {"mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config=_text(tokenizer, head_dim=32, rope_parameters=rope),
        vision_config=vision,
        **_qwen_ids(tokenizer),
    )
    return config, _qwen_processor(Qwen3VLProcessor, tokenizer, family, patch_size=16)


def _mrope(sections):
    return {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}


def _qwen_ids(tokenizer):
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def _qwen_processor(kind, tokenizer, family, patch_size):
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor, Qwen3VLVideoProcessor

    sizes = {"patch_size": patch_size, "merge_size": 2, "temporal_patch_size": 2}
    size = {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    videos = Qwen3VLVideoProcessor if patch_size == 16 else Qwen2VLVideoProcessor
    return kind(
        image_processor=Qwen2VLImageProcessor(size=size, **sizes),
        tokenizer=tokenizer,
        video_processor=videos(size=size, **sizes),
        chat_template=family.template,
    )


def _idefics2(family, tokenizer):
    from transformers import Idefics2Config, Idefics2ImageProcessor, Idefics2Processor

    processor = Idefics2Processor(
        Idefics2ImageProcessor(
            do_image_splitting=False, size={"shortest_edge": 32, "longest_edge": 64}
        ),
        tokenizer,
        image_seq_len=4,
        chat_template=family.template,
    )
    config = Idefics2Config(
        text_config={"model_type": "mistral", **_text(tokenizer)},
        vision_config={**VISION, "image_size": 64, "patch_size": 16},
        perceiver_config={
            "hidden_size": HIDDEN,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 32,
            "num_key_value_heads": 1,
            "initializer_range": SPREAD,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _idefics3(family, tokenizer):
    from transformers import Idefics3Config, Idefics3ImageProcessor, Idefics3Processor

    # 32 px pieces in 8 px patches, 4 x 4, of which 2 x 2 make one token.
    processor = Idefics3Processor(
        Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}),
        tokenizer,
        image_seq_len=4,
        chat_template=family.template,
    )
    config = Idefics3Config(
        text_config={"model_type": "llama", **_text(tokenizer)},
        vision_config={**VISION, "image_size": 32, "patch_size": 8},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
    )
    return config, processor


PINPOINTS = [[32, 64], [64, 32], [64, 64]]


def _llava_next(family, tokenizer):
    from transformers import LlavaNextConfig, LlavaNextImageProcessor, LlavaNextProcessor

    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(
            size={"shortest_edge": 32},
            crop_size={"height": 32, "width": 32},
            image_grid_pinpoints=PINPOINTS,
        ),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=family.template,
    )
    config = LlavaNextConfig(
        text_config={"model_type": "mistral", **_text(tokenizer)},
        vision_config={
            "model_type": "clip_vision_model",
            "image_size": 32,
            "patch_size": 8,
            **VISION,
            "num_hidden_layers": 3,
            "projection_dim": 32,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=PINPOINTS,
        image_seq_length=16,
    )
    return config, processor


def _llava_onevision(family, tokenizer):
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    square = {"height": 32, "width": 32}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=PINPOINTS),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=square),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=family.template,
    )
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        vision_config={
            "model_type": "siglip_vision_model",
            "image_size": 32,
            "patch_size": 8,
            **VISION,
            "vision_use_head": False,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=PINPOINTS,
    )
    return config, processor


def _internvl(family, tokenizer):
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    square = {"height": 32, "width": 32}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=square, crop_to_patches=True, min_patches=1, max_patches=4),
        tokenizer,
        InternVLVideoProcessor(size=square),
        image_seq_length=4,
        chat_template=family.template,
    )
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        vision_config={**VISION, "image_size": [32, 32], "patch_size": [8, 8]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return config, processor


CONFIGS = {
    "Qwen2VLForConditionalGeneration": _qwen2,
    "Qwen2_5_VLForConditionalGeneration": _qwen2_5,
    "Qwen3VLForConditionalGeneration": _qwen3,
    "Idefics2ForConditionalGeneration": _idefics2,
    "Idefics3ForConditionalGeneration": _idefics3,
    "LlavaNextForConditionalGeneration": _llava_next,
    "LlavaOnevisionForConditionalGeneration": _llava_onevision,
    "InternVLForConditionalGeneration": _internvl,
}
"""Architecture -> function of the family and the tokenizer."""
