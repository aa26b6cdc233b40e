"""What a family of models, a model type of transformers, needs to be trained: one file each.

    finer1/policy/families/<model type>.py     has FAMILY

A family without a file can be asked (finer1/zoo), and is refused where it would be trained: what is
not known to be exact is not tried. docs/families.md says how to write one.

Shape letters: P prompt tokens, N patches or pieces of an image, D embedding.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:  # images are handed on: who has tensors of them needs no Pillow
    from PIL import Image

Pixels = tuple[torch.Tensor, torch.Tensor]
"""Of one image: pixel values [N, ...], and what the model must know of its shape besides."""


@dataclass(frozen=True)
class Family:
    """How the models of one type take images and positions."""

    packs: bool
    """Whether completions can share their prompt's row (runtime.forward: packed): positions are
    given from outside, images enter as embeddings alone, a finished mask is taken. Else `plain`."""
    vision: tuple[str, ...]
    """Modules and parameters of the backbone that see; they take no gradient unless wanted."""
    projector: str
    """The one among them, or in one, whose last linear layer gives the image tokens."""
    has_axes: bool
    """Whether positions lie on three axes, by the model's own `get_rope_index`; else on a line."""
    is_deep: bool
    """Whether an image enters later layers, too, so that its embeddings alone do not do."""
    has_bounds: bool
    """Whether the vision tower's attention is told where images and windows begin."""
    process: "Callable[[Any, Sequence[Image.Image]], list[Pixels]]"
    """Of the processor and images, on the CPU."""
    expand: Callable[[Any, torch.Tensor, torch.Tensor], str]
    """What an image's token becomes in the text; of the processor and the image's Pixels."""
    call: Callable[[Sequence[torch.Tensor], torch.Tensor], dict[str, torch.Tensor]]
    """Keyword arguments of the model's call for several images; of pixel values and shapes."""
    split: Callable[[Any, Sequence[torch.Tensor]], Sequence[torch.Tensor]]
    """`get_image_features(...).pooler_output` of several images as [image tokens, D] of each."""


def family_of(model: Any) -> Family:
    """The family of a transformers model or of its backbone."""
    return load_family(model.config.model_type)


def load_family(model_type: str) -> Family:
    """The family of a model type. Raises ValueError when there is no file for it."""
    name = f"{__package__}.{model_type}"
    if not model_type.isidentifier() or model_type == "interface" or find_spec(name) is None:
        raise ValueError(
            f"models of the type {model_type} cannot be trained: there is no "
            f"finer1/policy/families/{model_type}.py; take one of {', '.join(_known())}, or write "
            "the file (docs/families.md). A model that is only asked needs none (predict.models)"
        )
    family: Family = import_module(name).FAMILY
    return family


def check_trainable(folder: Path) -> None:
    """Raise ValueError unless a model folder is of a family that can be trained.

    Code that comes with weights is never run.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} is no model folder: it has no config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    model_type = str(config.get("model_type"))
    if config.get("auto_map") and model_type not in _known():
        raise ValueError(
            f"{folder}: these weights ({model_type}) need code that comes with them, which is "
            "never run here. They can be asked through a server that you start "
            "(FINER1_EVAL_SERVER, docs/models.md), and trained once transformers has a class for "
            "them or they are converted to one that it has (docs/families.md)"
        )
    try:
        load_family(model_type)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def vision_parts(model: Any) -> list[torch.nn.Parameter]:
    """The parameters of the model, or of its backbone, that see."""
    backbone = getattr(model, "model", model)
    parts = []
    for name in family_of(model).vision:
        part = getattr(backbone, name)
        parts += [part] if isinstance(part, torch.nn.Parameter) else list(part.parameters())
    return parts


def patch_size(model: Any) -> int:
    """Pixels along a patch of the vision tower."""
    size = model.config.vision_config.patch_size
    return int(size[0] if isinstance(size, list | tuple) else size)


def _known() -> list[str]:
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if file.stem not in ("__init__", "interface"))
