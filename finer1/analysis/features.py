"""Hidden states of a model about images: the mean image token of every layer, and the last token.

One forward pass over the chat prompt of an image and a question. The language models here are
causal, so that the image tokens, which come first, do not depend on the question behind them.

Shape letters: B prompts of a batch, P prompt tokens, L layers, D hidden size. State 0 is what
enters the first layer; state L, the last, is behind the final norm.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from finer1.chat import needs_special_tokens, render_prompt
from finer1.embeddings import EmbeddingStore
from finer1.encoders.interface import ImageEncoder, in_batches
from finer1.engines.interface import EngineSettings
from finer1.engines.local_models import find_model
from finer1.engines.transformers import load_model
from finer1.progress import Progress
from finer1.records import ImageRecord
from finer1.zoo.loading import AskedModel

_RECIPE = "mean of the image tokens 1"
"""Enters the identity of what is kept; a change of what is computed takes a new number."""


@dataclass(frozen=True)
class Subject:
    """A loaded model whose hidden states are read."""

    model: Any
    """The transformers model without its head."""
    processor: Any
    image_token: int
    """Id of the token that stands for a piece of an image."""
    identity: str
    """Number format and content of the weights."""
    system: str
    """The system turn; none when empty."""


@dataclass(frozen=True)
class States:
    """Hidden states of a batch of prompts, padded on the left."""

    hidden: tuple[torch.Tensor, ...]
    """L + 1 of [B, P, D]."""
    image_mask: torch.Tensor
    """[B, P], true on image tokens."""


def load_subject(found: AskedModel, home: Path, device: str, system: str) -> Subject:
    """Load a model for its hidden states.

    home: the project's folder. Raises ValueError for a CLIP model or one behind a server, which
    show none, and as find_model.
    """
    if found.kind != "chat":
        raise ValueError(
            f"{found.path} is of the kind {found.kind}, whose hidden states cannot be read; take "
            "it out of analysis.models"
        )
    adapter = found.adapter.absolute() if found.adapter else None
    settings = EngineSettings(None, {}, device, home=home, named_model=found.name, adapter=adapter)
    model, processor, identity = load_model(find_model("transformers", settings), device)
    tokenizer = processor.tokenizer
    if tokenizer.pad_token_id is None:  # any will do: it is masked
        tokenizer.pad_token_id = tokenizer.eos_token_id
    return Subject(model.model, processor, image_token_id(model.config), identity, system)


def image_token_id(config: Any) -> int:
    """Id of the token whose places take the image's features.

    Families call it differently. Raises ValueError when the configuration names none.
    """
    for name in ("image_token_id", "image_token_index"):
        value = getattr(config, name, None)
        if value is not None:
            return int(value)
    raise ValueError(f"{config.model_type} names no image token, so that none can be averaged")


@torch.inference_mode()
def read_states(
    subject: Subject, images: Sequence[Image.Image], users: Sequence[str], answers: Sequence[str]
) -> States:
    """Every hidden state of an image each, a user text each, and the beginning of an answer each.

    answers: empty strings for the prompt alone.
    """
    processor = subject.processor
    prompts = [
        render_prompt(processor, user, 1, subject.system) + answer
        for user, answer in zip(users, answers, strict=True)
    ]
    batch = processor(
        text=prompts,
        images=[[image] for image in images],
        padding=True,
        add_special_tokens=needs_special_tokens(prompts[0], processor.tokenizer),
        return_tensors="pt",
    ).to(subject.model.device, subject.model.dtype)
    output = subject.model(**batch, output_hidden_states=True, use_cache=False)
    return States(output.hidden_states, batch["input_ids"] == subject.image_token)


def image_means(states: States) -> torch.Tensor:
    """[B, L + 1, D] float32: the mean over each prompt's image tokens, in every state.

    Raises ValueError when a prompt has no image token.
    """
    mask = states.image_mask
    if not bool(mask.any(dim=1).all()):
        raise ValueError("a prompt has no image token; the model's processor does not place them")
    weights = mask.float() / mask.sum(dim=1, keepdim=True)
    means = [torch.einsum("bp,bpd->bd", weights, state.float()) for state in states.hidden]
    return torch.stack(means, dim=1).cpu()


def last_states(states: States) -> torch.Tensor:
    """[B, D] float32: the last state at the last token."""
    return states.hidden[-1][:, -1].float().cpu()


def embed_images(
    subject: Subject,
    images: Sequence[ImageRecord],
    read: Callable[[str], Image.Image],
    store: EmbeddingStore,
    prompt: str,
    every_layer: bool,
    progress: str,
) -> torch.Tensor:
    """The mean image token of each image, [N, D], or of every state, [N, L + 1, D]; once computed.

    read: the RGB image of an id. prompt: the user text, which may name `{category}`. progress: as
    of EmbeddingStore.embed.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        places[image.category].append(place)
    rows: dict[int, torch.Tensor] = {}
    for category, here in sorted(places.items()):
        encoder = _encoder(subject, prompt.format(category=category), every_layer)
        found = store.embed(encoder, [images[i] for i in here], read, f"{progress} {category}")
        rows |= dict(zip(here, found, strict=True))
    means = torch.stack([rows[place] for place in range(len(images))])
    if not every_layer:
        return means
    return means.unflatten(1, (-1, subject.model.config.get_text_config().hidden_size))


def embed_statements(
    subject: Subject,
    asked: Sequence[tuple[str, str, str]],
    read: Callable[[str], Image.Image],
    bar: Progress,
) -> torch.Tensor:
    """[N, D]: the last state at the last token of a statement about an image.

    asked: (image id, user text, statement), N of them. The statement begins the answer.
    """
    rows = []
    for part in in_batches(asked):
        ids, users, statements = zip(*asked[part], strict=True)
        states = read_states(subject, [read(key) for key in ids], users, statements)
        rows.append(last_states(states))
        bar.advance(len(ids))
    return torch.cat(rows)


def _encoder(subject: Subject, user: str, every_layer: bool) -> ImageEncoder:
    facts = [_RECIPE, subject.identity, subject.system, user, every_layer]

    def encode(images: Sequence[Image.Image]) -> torch.Tensor:
        none = [""] * len(images)
        means = image_means(read_states(subject, images, [user] * len(images), none))
        return means.flatten(1) if every_layer else means[:, -1]

    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return ImageEncoder("hidden_states", digest, encode)
