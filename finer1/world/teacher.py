"""A teacher for the embedded world: it sees an image's attributes in its metadata, and errs.

It answers the three kinds of teacher prompt at the error rates of a realistic annotator, so that
the filters after it have something to do.
"""

import hashlib
import re

import numpy as np

from finer1 import prompts
from finer1.engines.interface import Request
from finer1.world import language
from finer1.world.taxonomy import ATTRIBUTES, Species, Taxonomy, flipped

VERSION = "2"
"""Raise it with any change of what the teacher says."""

FLIP_RATE = 0.05
"""Chance that an attribute is misread, each on its own."""
WRONG_PICK_RATE = 0.1
"""Chance that a rationale ends at another of its options."""
FORMAT_ERROR_RATE = 0.05
"""Chance that a rationale lacks a closing tag."""
MIXED_LANGUAGE_RATE = 0.03
"""Chance that a rationale holds words of another language."""

_FOREIGN = " \u7ea2\u8272\u7684\u5934\u548c\u957f\u957f\u7684\u5c3e"
"""Long enough for a filter by the share of Latin letters."""
_SHARED_CONCEPTS = {
    "bird": ("two wings", "feathered body", "small eye"),
    "car": ("four wheels", "metal body", "headlights"),
    "fish": ("scaly skin", "streamlined body", "round eye"),
}
"""Features that all classes of a category have: true, and useless for telling them apart."""
_LABEL = re.compile(r"^Label: (.+)$", re.MULTILINE)


def respond(world: Taxonomy, request: Request, number: int) -> str:
    """The teacher's text for sample `number` of a request.

    Raises ValueError when the prompt is of no known kind, or about an image that is not of the
    embedded world.
    """
    rng = _generator(request, number)
    label = _LABEL.search(request.user)
    if label is None:
        if "Describe" not in request.user or not request.images:
            raise ValueError("the oracle teacher knows no such prompt: no label, no description")
        return caption(*_look(request), rng)
    species = world.find(label.group(1).strip())
    if "distinctive visual features" in request.user:
        return candidate_concepts(species, rng)
    if "Question:" not in request.user:
        raise ValueError("the oracle teacher knows no such prompt: a label, but no question")
    values = _look(request)[1] if request.images else species.values
    return rationale(world, species, values, rng)


def caption(category: str, values: tuple[str, ...], rng: np.random.Generator) -> str:
    """A sentence on five to eight features of an image, in any order.

    They are its attributes, some misread, and what every class of the category shows: whoever does
    not know the classes cannot know which feature tells them apart, and names both equally often.
    """
    phrases = concept_phrases(category, misread(category, values, rng))
    phrases += _SHARED_CONCEPTS[category]
    order = rng.permutation(len(phrases))[: rng.integers(5, len(phrases) + 1)]
    opening = rng.choice(["A photo of a", "This is a", "The image shows a", "A"])
    return f"{opening} {category} with {', '.join(phrases[place] for place in order)}."


def candidate_concepts(species: Species, rng: np.random.Generator) -> str:
    """Concepts of a class, one a line: its own, ones that every class shares, and wrong ones."""
    true = concept_phrases(species.category, species.values)
    places = rng.choice(len(true), size=2, replace=False)
    flips = [_flip(species.category, species.values, place, rng) for place in places]
    wrong = [
        concept_phrases(species.category, values)[place]
        for place, values in zip(places, flips, strict=True)
    ]
    lines = [*true, *_SHARED_CONCEPTS[species.category], *wrong]
    return "\n".join(lines[place] for place in rng.permutation(len(lines)))


def rationale(
    world: Taxonomy, species: Species, values: tuple[str, ...], rng: np.random.Generator
) -> str:
    """The four sections for an image whose label is known, with the teacher's errors."""
    observed = misread(species.category, values, rng)
    options = language.choose_options(world, species, observed)
    pick = species
    if rng.random() < WRONG_PICK_RATE:
        others = [item for item in options if item != species]
        pick = others[rng.integers(len(others))]
    analysis = language.caption_text(observed)
    if rng.random() < MIXED_LANGUAGE_RATE:
        analysis += _FOREIGN
    names = [item.name for item in options]
    text = prompts.sections_text(analysis, names, language.comparison_text(options), pick.name)
    if rng.random() < FORMAT_ERROR_RATE:
        text = text.replace(f"</{rng.choice(prompts.SECTIONS)}>", "", 1)
    return text


def concept_phrases(category: str, values: tuple[str, ...]) -> list[str]:
    """`value attribute` for each attribute, as captions and concepts put it."""
    return [f"{value} {name}" for name, value in zip(ATTRIBUTES[category], values, strict=True)]


def misread(category: str, values: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """The values, each replaced by another of its attribute at FLIP_RATE."""
    for place in range(len(values)):
        if rng.random() < FLIP_RATE:
            values = _flip(category, values, place, rng)
    return values


def _flip(
    category: str, values: tuple[str, ...], place: int, rng: np.random.Generator
) -> tuple[str, ...]:
    choices = flipped(category, values, int(place))
    return choices[rng.integers(len(choices))]


def _look(request: Request) -> tuple[str, tuple[str, ...]]:
    """Category and attributes of the request's image, from its metadata."""
    info = request.images[0].info
    if "attributes" not in info:
        raise ValueError("the oracle teacher sees images of the embedded world only")
    return info["category"], tuple(info["attributes"].split())


def _generator(request: Request, number: int) -> np.random.Generator:
    """A generator of its own for each request content, seed and sample number."""
    looks = [str(sorted(image.info.items())) for image in request.images]
    key = repr((request.seed, number, request.user, request.image_hashes, looks))
    return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
