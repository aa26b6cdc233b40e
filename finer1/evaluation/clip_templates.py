"""What a CLIP model is told about a class: one sentence, or the 80 of CLIP for ImageNet.

imagenet80.txt holds the 80, one a line, in the order in which CLIP published them
(https://github.com/openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb).
"""

from pathlib import Path
from typing import Literal

TemplateSet = Literal["one", "imagenet80"]

ONE = "a photo of a {}"
"""Where the class name goes is {}, in all templates."""


def clip_templates(name: TemplateSet) -> tuple[str, ...]:
    """The templates of that name."""
    if name == "one":
        return (ONE,)
    text = Path(__file__).with_name("imagenet80.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
