"""Chat messages of a question about images; tokens that end completions or stand for images.

Questions, names and captions are data: what they hold of a model's special tokens is taken apart
before a template or a tokenizer sees it, so that no text can end a turn or begin another.
"""

import re
from collections.abc import Iterable
from typing import Any

_VISION_ID = re.compile(r"\w*(image|video|vision)\w*_token_(id|index)")
"""Names under which the configurations of all families keep the ids of vision tokens."""
_VISION_NAME = re.compile(r"(\w*_)?(image|video|vision)(_\w+)?_token")
"""Names under which a tokenizer knows such tokens."""
_END = "here it ends"
_MARKER = re.compile(r"<\|[^<>|\s]+\|>|</?s>|<image>|<video>")
"""What the families that we know of end turns with and put images in place of. A server's own
tokens are not known here."""


def chat_messages(user: str, num_images: int, system: str) -> list[dict[str, Any]]:
    """Messages for a chat template: images first, then the text; no system turn when empty."""
    content: list[dict[str, str]] = [{"type": "image"}] * num_images
    content = [*content, {"type": "text", "text": user}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if system:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": system}]})
    return messages


def as_data(text: str, tokens: Iterable[str] = ()) -> str:
    """`text` with a blank behind the first character of each special token, which ends it as such.

    tokens: those of the tokenizer, besides the usual ones. Without any the text is as it was.
    """
    known = sorted({token for token in tokens if len(token) > 1}, key=len, reverse=True)
    pattern = re.compile("|".join([*map(re.escape, known), _MARKER.pattern]))
    while (parted := pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)) != text:
        text = parted  # what is left around a token may be one
    return text


def special_tokens(tokenizer: Any) -> list[str]:
    """The special tokens of a tokenizer, as text."""
    added = tokenizer.added_tokens_decoder.values()
    return [*map(str, tokenizer.all_special_tokens), *(str(t) for t in added if t.special)]


def chat_template(processor: Any) -> str:
    """The template of a processor, or of its tokenizer, where older models keep it.

    Raises ValueError when neither has one.
    """
    for place in (processor, processor.tokenizer):
        template = getattr(place, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default")
        if template:
            return str(template)
    raise ValueError(
        f"{processor.tokenizer.name_or_path} has no chat template; copy chat_template.jinja or "
        "chat_template.json of the model that it was trained from into the folder"
    )


def render_prompt(processor: Any, user: str, num_images: int, system: str) -> str:
    """The prompt as the model's chat template has it, one image token per image.

    user: data, in which special tokens mean nothing. system: the project's own words. Raises
    ValueError when the model has no template, or one that fails or asks for what jinja's sandbox
    keeps from it.
    """
    from jinja2 import TemplateError

    user = as_data(user, special_tokens(processor.tokenizer))
    try:
        text: str = processor.apply_chat_template(
            chat_messages(user, num_images, system),
            chat_template=chat_template(processor),
            add_generation_prompt=True,
            tokenize=False,
        )
    except TemplateError as error:
        raise ValueError(
            f"the chat template of {processor.tokenizer.name_or_path} fails ({error}); take that "
            "of the model that it was trained from"
        ) from error
    return text


def needs_special_tokens(prompt: str, tokenizer: Any) -> bool:
    """False when the template wrote the token that begins a text: twice is not what was trained.

    Some templates write it (Idefics3), others leave it to the tokenizer (LLaVA-v1.6, Idefics2).
    """
    return not (tokenizer.bos_token and prompt.startswith(tokenizer.bos_token))


def suppressed_ids(config: Any, tokenizer: Any) -> tuple[int, ...]:
    """Ids of the image and video tokens, which a model must never write.

    A sampled image token has no image behind it and breaks the next training forward. config: of
    the model.
    """
    vocabulary = tokenizer.get_vocab()
    ids = {value for name, value in vars(config).items() if _VISION_ID.fullmatch(name)}
    for name, token in tokenizer.special_tokens_map.items():
        if _VISION_NAME.fullmatch(name):
            ids.add(vocabulary.get(str(token)))
    ids.add(vocabulary.get("<|vision_pad|>"))  # nothing names it
    return tuple(sorted(token for token in ids if token is not None))


def stop_ids(generation_config: Any) -> tuple[int, ...]:
    """Ids of the tokens that end a completion; empty when none does."""
    ids = generation_config.eos_token_id
    if ids is None:
        return ()
    return tuple(ids) if isinstance(ids, list) else (ids,)


def end_ids(generation_config: Any, processor: Any) -> tuple[int, ...]:
    """Ids of the tokens that end a completion, by all that a model folder says about it.

    Raises ValueError when it says nothing.
    """
    ids = stop_ids(generation_config) or stop_ids(processor.tokenizer)
    turn_end = turn_end_id(processor)
    ids = ids if turn_end is None or turn_end in ids else (*ids, turn_end)
    if not ids:
        raise ValueError(
            f"{processor.tokenizer.name_or_path} does not say which token ends a completion; set "
            "eos_token_id in generation_config.json"
        )
    return ids


def turn_end_id(processor: Any) -> int | None:
    """Id of the special token that the chat template puts behind an answer; None without one.

    Published generation configs lack it here and there (Idefics3 until it was added, InternVL),
    and a model would then write on to the limit.
    """
    from jinja2 import TemplateError

    answer = {"role": "assistant", "content": [{"type": "text", "text": _END}]}
    messages = [*chat_messages("Is it?", 0, ""), answer]
    try:
        text = processor.apply_chat_template(
            messages, chat_template=chat_template(processor), tokenize=False
        )
    except (TemplateError, TypeError):  # a template for one question alone
        return None
    _, end, rest = text.rpartition(_END)
    if not end:
        return None
    tokens = processor.tokenizer(rest.lstrip(), add_special_tokens=False)["input_ids"]
    is_end = bool(tokens) and tokens[0] in processor.tokenizer.all_special_ids
    return int(tokens[0]) if is_end else None
