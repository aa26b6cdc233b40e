"""The endless stream of prompts that rollouts are drawn from.

Prompt number k is a function of (seed, k) alone: each epoch passes over all anchors in an order of
its own and draws positive, negative, question and augmentation anew. So a run that is continued
needs to know nothing but the number of the next prompt.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from finer1.draws import derive_seed, draw
from finer1.model_params import TapoParams
from finer1.prompts import QUESTIONS, question
from finer1.records import Triplet
from finer1.tapo.augment import augment, blacken
from finer1.tapo.triplets import draw_images


@dataclass(frozen=True)
class Prompt:
    """One question with its three images."""

    number: int
    """Position in the stream."""
    label: str
    labels: Sequence[str]
    """All sub-categories of the label's category."""
    question: str
    anchor: Image.Image
    positive: Image.Image
    negative: Image.Image


@dataclass(frozen=True)
class PromptStream:
    """Prompts by number."""

    triplets: Sequence[Triplet]
    read_image: Callable[[str], Image.Image]
    """The RGB image of an id."""
    labels: Mapping[str, Sequence[str]]
    """Category -> its sub-categories."""
    settings: TapoParams
    patch: int
    """Side of the squares that a blackened negative consists of, pixels."""
    seed: int

    def prompt(self, number: int) -> Prompt:
        """Prompt `number`, 0 or more."""
        epoch, position = divmod(number, len(self.triplets))
        triplet = self.triplets[self._order(epoch)[position]]
        generator = random.Random(derive_seed(self.seed, "tapo prompt", str(number)))
        positive_id, negative_id = draw_images(triplet, generator)
        template = generator.randrange(len(QUESTIONS))
        anchor, positive = self.read_image(triplet.anchor), self.read_image(positive_id)
        if self.settings.augment:
            anchor = self._augment(anchor, generator)
            positive = self._augment(positive, generator)
        if self.settings.negative_image == "blackened":
            negative = blacken(anchor, self.settings.blackened_fraction, self.patch, generator)
        else:
            negative = self.read_image(negative_id)
        return Prompt(
            number=number,
            label=triplet.label,
            labels=self.labels[triplet.category],
            question=question(triplet.category, template),
            anchor=anchor,
            positive=positive,
            negative=negative,
        )

    def _augment(self, image: Image.Image, generator: random.Random) -> Image.Image:
        shift, brightness = self.settings.augment_shift, self.settings.augment_brightness
        return augment(image, shift, brightness, generator)

    def _order(self, epoch: int) -> list[int]:
        anchors = range(len(self.triplets))
        return sorted(
            anchors,
            key=lambda i: draw(self.seed, "tapo order", str(epoch), self.triplets[i].anchor),
        )
