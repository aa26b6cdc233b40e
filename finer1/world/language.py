"""What is said in the embedded world: the exact texts of both skills, and of the habits.

Skill S1 reads an image's five attributes in fixed order. Skill S2, in text alone, goes from
attributes to candidates, recalls each candidate's attributes, and names the nearest. The base is
taught them apart; a rationale composes them, in just these texts:

    <think><analysis>red hooked single round striped</analysis>
    <options>north finch, willow finch</options>
    <comparison>north finch has red long ...; willow finch has red hooked ...</comparison>
    <prediction>willow finch</prediction></think><answer>willow finch</answer>
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from finer1 import prompts
from finer1.world.taxonomy import ATTRIBUTES, Species, Taxonomy, distance

Item = TypeVar("Item")

MAX_OPTIONS = 4
GENUS_SHARE = 0.4
"""Share of open questions that the base is taught to answer by the genus; a species of the genus
drawn at random answers the rest. This is a knob: it sets the base's open-world score."""
ERROR_SHARE = 0.3
"""Share of S2 exercises whose attributes hold one wrong, still correctable value."""
ALT_TEXT_TRUTH = 0.35
"""Share of alt texts that name the right species; a sibling stands in the others."""


@dataclass(frozen=True)
class Dialogue:
    """One user turn and one completion."""

    user: str
    target: str
    """The completion's scored part."""
    given: str = ""
    """The completion's beginning, which is not scored: what the user text cannot determine."""
    image: int | None = None
    """Row of the pool."""


def caption_text(values: Sequence[str]) -> str:
    """Attribute values as S1 says them and as a rationale's analysis holds them."""
    return " ".join(values)


def comparison_text(options: Sequence[Species]) -> str:
    """Each option with its attributes: pure recall, a step that the base can do."""
    return "; ".join(f"{item.name} has {caption_text(item.values)}" for item in options)


def genus_text(genus: str) -> str:
    """The coarse answer."""
    return f"a kind of {genus}"


def rationale_text(observed: Sequence[str], options: Sequence[Species], pick: Species) -> str:
    """A whole completion with a rationale."""
    names = [item.name for item in options]
    sections = prompts.sections_text(
        caption_text(observed), names, comparison_text(options), pick.name
    )
    return prompts.rationale_completion(sections, pick.name)


def choose_options(world: Taxonomy, truth: Species, observed: Sequence[str]) -> list[Species]:
    """The truth and the three other classes nearest to what was observed, by name.

    The order by name says nothing of the truth's place; were the truth always first, comparing
    would be decoration. In a shuffled order greedy decoding of a tiny model names one class four
    times; a fixed order it learns.
    """
    others = [item for item in world.by_category[truth.category] if item != truth]
    others.sort(key=lambda item: distance(item.values, observed))  # stable: ties by the table
    return sorted([truth, *others[: MAX_OPTIONS - 1]], key=lambda item: item.name)


def siblings_options(world: Taxonomy, truth: Species, rng: np.random.Generator) -> list[Species]:
    """The truth and three others of its genus, shuffled."""
    others = [item for item in world.by_genus[truth.genus] if item != truth]
    return _shuffled([truth, *_shuffled(others, rng)[: MAX_OPTIONS - 1]], rng)


def coarse_options(world: Taxonomy, truth: Species, rng: np.random.Generator) -> list[Species]:
    """The truth and one class of each other genus, shuffled."""
    others = [
        _pick(world.by_genus[genus], rng)
        for genus in world.genera[truth.category]
        if genus != truth.genus
    ]
    return _shuffled([truth, *others], rng)


def observe(world: Taxonomy, truth: Species, rng: np.random.Generator) -> tuple[str, ...]:
    """The true attributes or, in ERROR_SHARE of cases, a correctable error if there is one."""
    errors = world.correctable_errors[truth.name]
    if rng.random() < ERROR_SHARE and errors:
        return _pick(errors, rng)
    return truth.values


def reasoning_exercise(
    world: Taxonomy, rng: np.random.Generator, image: int | None = None
) -> Dialogue:
    """S2 in one of five forms, beside no image or one that has nothing to do with it."""
    truth = _pick(world.species, rng)
    observed = observe(world, truth, rng)
    options = choose_options(world, truth, observed)
    form = rng.choice(["full", "part", "none", "go on", "options"], p=[0.4, 0.15, 0.15, 0.1, 0.2])
    is_described = form == "full" or (form == "options" and rng.random() < 0.5)
    told: Sequence[str] = observed if is_described else ()
    if form == "part":
        told = [value for value in observed if rng.random() < 0.5]
    user = "Go on." if form == "go on" else reasoning_instruction(truth.category, told)
    if form == "options":
        options = (siblings_options if rng.random() < 0.5 else coarse_options)(world, truth, rng)
        user = prompts.closed_question(user, [item.name for item in options])
    completion = rationale_text(observed, options, truth)
    begin = 0 if is_described else completion.index("</analysis>")
    return Dialogue(user, completion[begin:], completion[:begin], image)


def reasoning_instruction(category: str, told: Sequence[str]) -> str:
    """The user text that asks for S2, with the attribute values that are told, if any."""
    description = f" with {caption_text(told)}" if told else ""
    return f"Think about a {category}{description} and name it."


def fact_exercise(world: Taxonomy, rng: np.random.Generator) -> Dialogue:
    """A fact about one or two classes, in text alone."""
    item = _pick(world.species, rng)
    form = rng.choice(["look", "which", "genus", "differ"], p=[0.4, 0.3, 0.2, 0.1])
    if form == "look":
        return Dialogue(f"What does the {item.name} look like?", caption_text(item.values))
    if form == "which":
        user = f"Which {item.category} has {caption_text(item.values)}?"
        return Dialogue(user, item.name)
    if form == "genus":
        user = f"What kind of {item.category} is the {item.name}?"
        return Dialogue(user, genus_text(item.genus))
    other = _pick([s for s in world.by_genus[item.genus] if s != item], rng)
    places = [k for k, value in enumerate(item.values) if value != other.values[k]]
    parts = [f"{s.name} has {caption_text([s.values[k] for k in places])}" for s in (item, other)]
    return Dialogue(f"How do the {item.name} and the {other.name} differ?", "; ".join(parts))


def image_caption(category: str, values: Sequence[str], image: int) -> Dialogue:
    """S1: all attributes of an image."""
    return Dialogue(caption_instruction(category), caption_text(values), image=image)


def caption_instruction(category: str) -> str:
    """The user text that asks for S1."""
    return f"Describe the {category} in this image."


def image_attribute(
    category: str, values: Sequence[str], image: int, rng: np.random.Generator
) -> Dialogue:
    """One attribute of an image."""
    place = int(rng.integers(len(values)))
    name = list(ATTRIBUTES[category])[place]
    return Dialogue(f"What {name} does this {category} have?", values[place], image=image)


def image_open(world: Taxonomy, truth: Species, image: int, rng: np.random.Generator) -> Dialogue:
    """An open question, answered coarsely or by any species of the right genus."""
    user = prompts.question(truth.category, int(rng.integers(len(prompts.QUESTIONS))))
    answer = genus_text(truth.genus)
    if rng.random() >= GENUS_SHARE:
        answer = _pick(world.by_genus[truth.genus], rng).name
    return Dialogue(user, prompts.answer_completion(answer), image=image)


def image_closed(
    truth: Species, options: Sequence[Species], image: int, rng: np.random.Generator
) -> Dialogue:
    """A question with options, answered by the right one."""
    text = prompts.question(truth.category, int(rng.integers(len(prompts.QUESTIONS))))
    user = prompts.closed_question(text, [item.name for item in options])
    return Dialogue(user, prompts.answer_completion(truth.name), image=image)


def image_alt_text(
    world: Taxonomy, truth: Species, image: int, rng: np.random.Generator
) -> Dialogue:
    """Noisy alt text, as the web has it."""
    siblings = world.by_genus[truth.genus]
    named = truth if rng.random() < ALT_TEXT_TRUTH else _pick(siblings, rng)
    return Dialogue("Write alt text for this image.", f"photo of a {named.name}", image=image)


def _pick(items: Sequence[Item], rng: np.random.Generator) -> Item:
    return items[int(rng.integers(len(items)))]


def _shuffled(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    return [items[int(index)] for index in rng.permutation(len(items))]
