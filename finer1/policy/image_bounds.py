"""How large images are when the vision tower sees them: the image processor's bounds on pixels."""

import json
from pathlib import Path
from typing import Any

from finer1.files import write_atomic

Bounds = tuple[int | None, int | None]
"""Fewest and most pixels of an image; None leaves a bound as it is."""
NO_BOUNDS: Bounds = (None, None)
_FILES = ("processor_config.json", "preprocessor_config.json")
"""transformers 5 writes the first, published folders have the second."""


def bound_images(processor: Any, min_pixels: int | None, max_pixels: int | None) -> None:
    """Let the processor bring images to between so many pixels; None leaves a bound as it is.

    Raises ValueError when the bounds cross, and for bounds on a processor that gives images a size
    otherwise.
    """
    if min_pixels is None and max_pixels is None:
        return
    if min_pixels is not None and max_pixels is not None and min_pixels > max_pixels:
        raise ValueError(
            f"sft.min_pixels ({min_pixels}) must not be above sft.max_pixels ({max_pixels})"
        )
    size = processor.image_processor.size
    if "shortest_edge" not in size or "longest_edge" not in size:
        raise ValueError(
            "the base's image processor has no bounds on pixels (its size is "
            f"{', '.join(sorted(dict(size)))}); set sft.min_pixels and sft.max_pixels to null"
        )
    if min_pixels is not None:
        size["shortest_edge"] = min_pixels
    if max_pixels is not None:
        size["longest_edge"] = max_pixels
    processor.image_processor.size = size


def write_bounds(folder: Path, min_pixels: int | None, max_pixels: int | None) -> None:
    """Write the bounds into the model folder, so that all that load it see images alike."""
    bounds = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    changes = {name: value for name, value in bounds.items() if value is not None}
    if not changes:
        return
    for path in (folder / name for name in _FILES):
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            config = content.get("image_processor", content)
            old = {"shortest_edge": config.pop("min_pixels", None)}
            old["longest_edge"] = config.pop("max_pixels", None)
            known = {name: value for name, value in old.items() if value is not None}
            config["size"] = {**known, **config.get("size", {}), **changes}
            write_atomic(path, f"{json.dumps(content, indent=2)}\n".encode())
