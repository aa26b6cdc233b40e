"""Tiny random models of every architecture that the zoo names, as folders like those of the hub.

Real configuration, image processor and special tokens, byte-level tokenizer, chat templates that
put the same pieces into the same order as the published ones.
"""

from dataclasses import dataclass

from tests.finer1.engines.family_configs import CONFIGS


@dataclass(frozen=True)
class Family:
    """How the models of one architecture name and order things."""

    special: tuple[str, ...]
    """Special tokens; the first ends a completion, the second pads."""
    template: str
    """Chat template."""
    bos: str | None = None
    """Begins every text, by the tokenizer; a template may write it, too."""
    named: tuple[tuple[str, str], ...] = ()
    """Names of special tokens that the processor asks the tokenizer for."""


_QWEN = Family(
    special=(
        *("<|im_end|>", "<|endoftext|>", "<|im_start|>", "<|vision_start|>", "<|vision_end|>"),
        *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
    ),
    template=(
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
)
_IDEFICS_TURNS = (
    "{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)

FAMILIES = {
    "Qwen2VLForConditionalGeneration": _QWEN,
    "Qwen2_5_VLForConditionalGeneration": _QWEN,
    "Qwen3VLForConditionalGeneration": _QWEN,
    "Idefics2ForConditionalGeneration": Family(
        special=("<end_of_utterance>", "<unk>", "<s>", "<fake_token_around_image>", "<image>"),
        template=_IDEFICS_TURNS,
        bos="<s>",
    ),
    "Idefics3ForConditionalGeneration": Family(
        special=(
            *("<end_of_utterance>", "<|finetune_right_pad_id|>", "<|begin_of_text|>"),
            *("<fake_token_around_image>", "<image>", "<global-img>"),
            *(f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)),
        ),
        template="<|begin_of_text|>" + _IDEFICS_TURNS,
        bos="<|begin_of_text|>",
    ),
    "LlavaNextForConditionalGeneration": Family(
        special=("</s>", "<pad>", "<s>", "<image>"),
        template=(
            "{% for message in messages %}{% if message['role'] == 'system' %}"
            "<<SYS>>\n{{ message['content'][0]['text'] }}\n<</SYS>>\n\n"
            "{% elif message['role'] == 'user' %}[INST] "
            "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}"
            "<image>\n{% endfor %}"
            "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
            "{{ part['text'] }}{% endfor %} [/INST]{% endif %}{% endfor %}"
        ),
        bos="<s>",
    ),
    "LlavaOnevisionForConditionalGeneration": Family(
        special=("<|im_end|>", "<|endoftext|>", "<|im_start|>", "<image>", "<video>"),
        template=(
            "{% for message in messages %}<|im_start|>{{ message['role'] }} "
            "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}"
            "<image>\n{% endfor %}"
            "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
            "{{ part['text'] }}{% endfor %}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        ),
    ),
    "InternVLForConditionalGeneration": Family(
        special=(
            *("<|im_end|>", "<|endoftext|>", "<|im_start|>"),
            *("<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
        ),
        template=(
            "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
            "{% for part in message['content'] %}{% if part['type'] == 'image' %}<IMG_CONTEXT>\n"
            "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        ),
        named=(
            ("start_image_token", "<img>"),
            ("end_image_token", "</img>"),
            ("context_image_token", "<IMG_CONTEXT>"),
            ("video_token", "<video>"),
        ),
    ),
}

IN_VLLM = tuple(name for name in FAMILIES if name != "Idefics2ForConditionalGeneration")
"""What vLLM 0.31 runs."""


def build_model(architecture, folder):
    """Write a model of this architecture to `folder`."""
    import torch

    family = FAMILIES[architecture]
    tokenizer = _tokenizer(family)
    config, processor = CONFIGS[architecture](family, tokenizer)
    processor.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _model_class(architecture)(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    if architecture.startswith("Llava"):
        _name_as_published(folder / "model.safetensors")


def _name_as_published(path):
    """transformers 5 drops a level from the vision tower's names, which all published files have.

    It reads both; vLLM 0.31 reads only those.
    """
    from safetensors.torch import load_file, save_file

    old, new = "vision_tower.", "vision_tower.vision_model."
    weights = {
        new + name.removeprefix(old) if name.startswith(old) else name: value
        for name, value in load_file(path).items()
    }
    save_file(weights, path, metadata={"format": "pt"})


def _model_class(architecture):
    import transformers

    return getattr(transformers, architecture)


def _tokenizer(family):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in family.special])
    if family.bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, core.token_to_id(family.bos))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=family.special[0],
        pad_token=family.special[1],
        bos_token=family.bos,
        model_max_length=2048,
        **dict(family.named),
    )
    tokenizer.chat_template = family.template
    return tokenizer


def build_adapter(base, folder, rank=2):
    """Write LoRA adapters with random weights for the language layers of the model in `base`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=8, target_modules=r".*language_model.*[qv]_proj")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(model, config)
        for name, value in model.named_parameters():
            if ".lora_" in name:  # PEFT begins with zeros, which change nothing
                value.data = 0.3 * torch.randn_like(value)
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(folder)


def questions():
    """Requests of unequal length, with one and with three images of unequal sizes."""
    from finer1.engines.interface import Request
    from finer1.world.drawing import draw
    from finer1.world.taxonomies import load_taxonomy

    sizes = ((64, 64), (48, 64), (80, 40), (64, 32))
    drawn = [
        draw("bird", species.values, 0, 0.3)
        for species in load_taxonomy("embedded").by_category["bird"][:4]
    ]
    first, second, third, fourth = (
        image.resize(size) for image, size in zip(drawn, sizes, strict=True)
    )
    return [
        Request("What kind of bird is this?", (first,)),
        Request("What kind of bird is this?\nOptions: a robin; a wren; a crow; a tit.", (second,)),
        Request("What kind of bird is the last?", (second, third, first), system="Look closely."),
        Request("What is it?", (fourth,)),
    ]
