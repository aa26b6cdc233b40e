"""Chat messages of a question about images; tokens that end completions or stand for images."""

from typing import Any


def chat_messages(user: str, num_images: int, system: str) -> list[dict[str, Any]]:
    """Messages for a chat template: images first, then the text; no system turn when empty."""
    content: list[dict[str, str]] = [{"type": "image"}] * num_images
    content = [*content, {"type": "text", "text": user}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if system:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": system}]})
    return messages


def suppressed_ids(config: Any, tokenizer: Any) -> tuple[int, ...]:
    """Ids of the image and video tokens, which a model must never write.

    A sampled image token has no image behind it and breaks the next training forward. config: of
    the model.
    """
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {getattr(config, name, None) for name in names}
    ids.add(tokenizer.get_vocab().get("<|vision_pad|>"))  # no config names it
    return tuple(sorted(token for token in ids if token is not None))


def stop_ids(generation_config: Any) -> tuple[int, ...]:
    """Ids of the tokens that end a completion; empty when none does."""
    ids = generation_config.eos_token_id
    if ids is None:
        return ()
    return tuple(ids) if isinstance(ids, list) else (ids,)
