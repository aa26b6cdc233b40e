"""The model's forward when it scores tokens: TRL's fused head on the scored positions alone.

Two hooks on the backbone, the model without its head, see the keyword `scoring` and do what must
happen inside the wrapper's call: image features are put in their places, and after the last layer
only the scored positions are kept. (TRL's head skips unscored positions on a GPU only.)

Shape letters: S tokens of all rows, K scored positions, D embedding.
"""

from dataclasses import dataclass
from functools import wraps
from types import MethodType
from typing import Any

import torch
from trl.trainer.utils import add_fused_lm_head

from finer1.policy.encoding import EncodedPrompt, prompt_features
from finer1.policy.packed_plan import AttentionPlan


@dataclass(frozen=True)
class PackedImages:
    """The distinct images of a row and the places of their tokens."""

    images: tuple[EncodedPrompt, ...]
    """A prompt that shows it, for each image; one without features has them computed in the call,
    with gradient when the vision tower is trained."""
    order: tuple[int, ...]
    """Place in `images` of each prompt's image."""
    places: torch.Tensor
    """[image tokens of all prompts], in the row."""


@dataclass(frozen=True)
class Scoring:
    """What a scoring call brings along for the hooks and the attention."""

    positions: torch.Tensor
    """[K], places among the S tokens whose next token is scored."""
    temperature: float
    """The logits are divided by this."""
    attention: AttentionPlan | None = None
    """None for ordinary rows."""
    images: PackedImages | None = None


def install_scoring(model: Any, temperature: float) -> None:
    """Make `model(..., scoring=...)` give log-probabilities at `temperature`; repeatable.

    model: the transformers model. Calls without `scoring` stay what they are, GRPOTrainer's own
    fused head included, whichever of the two was put on first.
    """
    if not hasattr(model, "_scoring_heads"):
        model._scoring_heads = {}
        model.base_model.register_forward_pre_hook(_embed, with_kwargs=True)
        model.base_model.register_forward_hook(_keep_scored, with_kwargs=True)
        model.forward = _scoring_forward(model)
    if temperature not in model._scoring_heads:
        forward = model.forward
        add_fused_lm_head(model, temperature=temperature, outputs=("log_probs",))
        model._scoring_heads[temperature] = model.forward
        model.forward = forward


def _scoring_forward(model: Any) -> Any:
    # Not the bound method: a copy of the model must not call the original.
    other = model.forward.__func__

    @wraps(type(model).forward)  # `generate` validates its keywords against this signature
    def forward(self: Any, *args: Any, scoring: Scoring | None = None, **kwargs: Any) -> Any:
        if scoring is None:
            return other(self, *args, **kwargs)
        head = self._scoring_heads[scoring.temperature]
        return head(*args, scoring=scoring, fused_lm_head=True, **kwargs)

    return MethodType(forward, model)


def _embed(
    backbone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    scoring = kwargs.get("scoring")
    if scoring is None or scoring.images is None:
        return None
    images, rest = scoring.images, dict(kwargs)
    embeddings = backbone.get_input_embeddings()(rest.pop("input_ids"))
    features = prompt_features(backbone, images.images)
    # cat, not indexing: its backward adds up in a fixed order where an image occurs twice.
    tokens = torch.cat([features[i] for i in images.order]).to(embeddings.dtype)
    rest["inputs_embeds"] = embeddings.index_copy(1, images.places, tokens.unsqueeze(0))
    return args, rest


def _keep_scored(backbone: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    scoring = kwargs.get("scoring")
    if scoring is not None:
        rows = output.last_hidden_state.flatten(0, 1)
        output.last_hidden_state = rows.index_select(0, scoring.positions).unsqueeze(0)
    return output
