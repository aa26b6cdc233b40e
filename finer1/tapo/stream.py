"""The endless stream of prompts that rollouts are drawn from.

Prompt number k is a function of (seed, k) alone: each epoch passes over all anchors in an order of
its own and draws positive, negative, question and augmentation anew; the positive of an anchor
without another image of its sub-category is an augmentation of the anchor. So a run that is
continued needs to know nothing but the number of the next prompt.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageOps

from finer1.draws import derive_seed, draw
from finer1.model_params import TapoParams
from finer1.prompts import QUESTIONS, WORDINGS, closed_question, question
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
    negative_label: str
    """Sub-category of the triplet's negative, also where the anchor is blackened instead."""


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
    _orders: dict[int, list[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Of the last two epochs: making one takes a hash per anchor, and a step may end an epoch."""

    def triplet(self, number: int) -> Triplet:
        """The triplet that prompt `number` draws from."""
        epoch, position = divmod(number, len(self.triplets))
        return self.triplets[self._order(epoch)[position]]

    def take(self, first: int, count: int, streaks: Mapping[str, int]) -> list[int]:
        """Numbers of the next `count` prompts from `first` on.

        streaks: anchor -> its degenerate groups in a row. A prompt whose anchor has k of them is
        passed over with probability 1 - explore_rate^k (GRESO, arXiv:2506.02177), except after a
        whole epoch of such.
        """
        numbers: list[int] = []
        number = first
        while len(numbers) < count:
            since = number - (numbers[-1] + 1 if numbers else first)
            if since >= len(self.triplets) or self._is_explored(number, streaks):
                numbers.append(number)
            number += 1
        return numbers

    def _is_explored(self, number: int, streaks: Mapping[str, int]) -> bool:
        if not streaks:
            return True
        chance = self.settings.explore_rate ** streaks.get(self.triplet(number).anchor, 0)
        return random.Random(derive_seed(self.seed, "tapo explore", str(number))).random() < chance

    def prompt(self, number: int) -> Prompt:
        """Prompt `number`, 0 or more."""
        triplet = self.triplet(number)
        generator = random.Random(derive_seed(self.seed, "tapo prompt", str(number)))
        positive_id, negative_id = draw_images(triplet, generator)
        template = generator.randrange(len(QUESTIONS))
        anchor, positive = self.read_image(triplet.anchor), self.read_image(positive_id)
        if self.settings.augment:
            anchor = self._augment(anchor, generator)
        if self.settings.augment or triplet.is_augmented:
            positive = self._augment(positive, generator)
        if triplet.is_augmented and positive.tobytes() == anchor.tobytes():
            positive = ImageOps.mirror(positive)  # the draws happened to change nothing
        if self.settings.negative_image == "blackened":
            negative = blacken(anchor, self.settings.blackened_fraction, self.patch, generator)
        else:
            negative = self.read_image(negative_id)
        return Prompt(
            number=number,
            label=triplet.label,
            labels=self.labels[triplet.category],
            question=WORDINGS[self.settings.strategy].turn(
                self._question(number, triplet, template)
            ),
            anchor=anchor,
            positive=positive,
            negative=negative,
            negative_label=triplet.negative_label,
        )

    def _question(self, number: int, triplet: Triplet, template: int) -> str:
        """The open question; or the same with options, the nearest sub-category among them, or
        with all that are seen."""
        text = question(triplet.category, template)
        if self.settings.question == "class_list":
            return closed_question(text, self._seen(triplet.category))
        # A generator of its own: the wording of a question moves no other draw.
        generator = random.Random(derive_seed(self.seed, "tapo question", str(number)))
        is_closed = self.settings.question == "closed" or (
            self.settings.question == "mixed" and generator.random() < 0.5
        )
        if not is_closed:
            return text
        options = [triplet.label, triplet.negative_label]
        others = [label for label in self._seen(triplet.category) if label not in options]
        num_others = min(len(others), self.settings.num_options - len(options))
        options += generator.sample(others, num_others)
        return closed_question(text, generator.sample(options, len(options)))

    def _seen(self, category: str) -> list[str]:
        """The seen sub-categories of a category, sorted."""
        return sorted({row.label for row in self.triplets if row.category == category})

    def _augment(self, image: Image.Image, generator: random.Random) -> Image.Image:
        shift, brightness = self.settings.augment_shift, self.settings.augment_brightness
        return augment(image, shift, brightness, generator)

    def _order(self, epoch: int) -> list[int]:
        """The anchors, by place in `triplets`, as this epoch passes over them."""
        if epoch not in self._orders:
            for old in [*self._orders][:-1]:
                del self._orders[old]
            self._orders[epoch] = sorted(
                range(len(self.triplets)),
                key=lambda i: draw(self.seed, "tapo order", str(epoch), self.triplets[i].anchor),
            )
        return self._orders[epoch]
