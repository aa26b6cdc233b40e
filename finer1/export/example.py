"""The image that an exported model is shown with."""

from dataclasses import dataclass

from PIL import Image, ImageDraw

from finer1.images import ImageArchive
from finer1.params import Params
from finer1.records import Question, read_jsonl

FILE = "example.png"
_DRAWN = "world"
"""The dataset whose pictures the project draws, and may pass on."""


@dataclass(frozen=True)
class Example:
    """An image to ask about."""

    image: Image.Image
    """RGB."""
    category: str
    origin: str
    """Of the image, in words."""


def run_example(params: Params) -> Example | None:
    """A drawn test image of the run, of an unseen sub-category where there is one.

    None where the run has no drawn images: those of others are not ours to pass on.
    """
    paths = params.paths
    if _DRAWN not in params.download.datasets or not paths.questions.is_file():
        return None
    rows = [row for row in read_jsonl(paths.questions, Question) if row.setting == "open"]
    drawn = [row for row in rows if row.image_id.startswith(f"{_DRAWN}/")]
    if not drawn:
        return None
    chosen = next((row for row in drawn if not row.seen), drawn[0])
    side = "seen" if chosen.seen else "unseen"
    image = ImageArchive(paths.images).read(chosen.image_id)
    return Example(image, chosen.category, f"a drawn test image of {chosen.label} ({side})")


def drawn_example(category: str) -> Example:
    """A drawing that shows nothing in particular: the example runs, its answer means nothing."""
    image = Image.new("RGB", (224, 224), (236, 240, 241))
    pen = ImageDraw.Draw(image)
    pen.ellipse((50, 80, 160, 170), fill=(192, 57, 43))
    pen.ellipse((134, 50, 190, 106), fill=(192, 57, 43))
    pen.polygon([(186, 74), (216, 82), (186, 92)], fill=(243, 156, 18))
    return Example(image, category, "a drawing of nothing in particular; put a photograph there")
