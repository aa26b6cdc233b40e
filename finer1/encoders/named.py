"""Image encoders by name."""

from pathlib import Path

from finer1.encoders.interface import ImageEncoder


def load_encoder(name: str, base: Path, home: Path, device: str) -> ImageEncoder:
    """The image encoder of that name, running on `device`: cpu, cuda or auto.

    `base_model`: mean image tokens, after the merger, of the vision tower of the model folder
    `base`. `colour_texture`: a baseline without weights. `open_clip:<model>:<tag or file>` or
    `open_clip:<folder>`: image tower of an open_clip model; file and folder may be relative to
    `home`. Raises ValueError for other names and for weights that are not there or do not fit.
    """
    if name == "base_model":
        from finer1.encoders.base_model import load_base_encoder

        return load_base_encoder(base, device)
    if name == "colour_texture":
        from finer1.encoders.colour_texture import colour_texture_encoder

        return colour_texture_encoder()
    if name.startswith("open_clip:"):
        from finer1.encoders.open_clip import load_open_clip

        return load_open_clip(name, home, device)
    raise ValueError(
        f"encoder {name!r} is unknown; use base_model, colour_texture, "
        "open_clip:<model>:<tag or checkpoint file> or open_clip:<folder>"
    )
