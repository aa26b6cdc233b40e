"""A stand-in teacher for photographs where no large model is at hand: it writes from a template.

It sees no pixels and knows nothing about birds or anything else. Captions and lists are generic
visual phrases, the same for the same image or label; rationales have the form, the length and
the slips of a teacher's, so that every stage has what it needs, but no knowledge that would make
accuracy on photographs mean anything. Its slips are those of the embedded world's oracle.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, check_no_model
from finer1.prompts import sections_text
from finer1.teacher.caption_prompts import FRAME
from finer1.teacher.prompts import concept_list_prompt, rationale_prompt

VERSION = 1
"""Raise it with any change of what the engine writes, which is stored under its identity."""

FLIP, WRONG_PICK, BAD_FORMAT, MIXED = 0.05, 0.1, 0.05, 0.03
"""Probabilities: a feature is wrong; another option is predicted; a section is not closed; a
phrase is not English. Values of the second trial of the embedded world."""

PHRASES = tuple(
    f"{quality} {part}"
    for quality in ("dark", "pale", "narrow", "broad", "rounded", "striped")
    for part in ("front", "back", "side", "edge", "outline")
)
"""What a feature can be, whatever the image shows."""

# The Chinese for "clear features"; as escapes, since the source is ASCII.
_SLIP = "\u7279\u5f81\u660e\u663e"

_ANY = "(.*)"


def load(settings: EngineSettings) -> "TemplateEngine":
    """The engine for the settings' sub-categories; raises ValueError when a model is named."""
    check_no_model("template", settings)
    return TemplateEngine(settings.labels)


@dataclass(frozen=True)
class _Asked:
    """What a rationale prompt asks for."""

    category: str
    label: str
    concepts: tuple[str, ...]


class TemplateEngine:
    """Answers the teacher's three kinds of prompt; equal requests, equal answers."""

    pads = False

    def __init__(self, labels: dict[str, tuple[str, ...]]) -> None:
        self._labels = labels
        known = hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()
        self.identity = f"template:{VERSION}:{known}"

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request; at temperature 0 they are all the same.

        Raises ValueError for a prompt that is none of the three.
        """
        return [
            [self._sample(request, sampling, place) for place in range(sampling.n)]
            for request in requests
        ]

    def _sample(self, request: Request, sampling: Sampling, place: int) -> Sample:
        chance = f"{request.seed}/{place}" if sampling.temperature > 0 else "greedy"
        source = f"{request.user}\0{request.image_hashes}\0{chance}"
        words = self._write(request, random.Random(source)).split(" ")
        cut = words[: sampling.max_tokens]
        return Sample(" ".join(cut), len(cut), "stop" if len(cut) == len(words) else "length")

    def _write(self, request: Request, generator: random.Random) -> str:
        asked = _read_rationale_prompt(request.user)
        if asked is not None:
            return self._rationale(asked, generator)
        listed = _match(concept_list_prompt(_ANY, _ANY), request.user)
        if listed is not None:
            return "\n".join(_features("/".join(listed), 8))
        found = _match(FRAME.format(category=_ANY, stress=_ANY, kind=_ANY), request.user)
        if found is not None:
            features = _features(str(request.image_hashes), 6)
            return f"A {found[0]} with a {' and a '.join(generator.sample(features, 3))}."
        raise ValueError("the engine `template` answers the teacher's prompts only")

    def _rationale(self, asked: _Asked, generator: random.Random) -> str:
        """Two options and few words: a tiny model spells a name unknown to it byte by byte."""
        shown = [
            generator.choice(PHRASES) if generator.random() < FLIP else concept
            for concept in asked.concepts[:2] or PHRASES[:2]
        ]
        options = [asked.label, self._neighbour(asked, generator)]
        generator.shuffle(options)
        pick = asked.label
        if generator.random() < WRONG_PICK:
            pick = next(option for option in options if option != asked.label)
        if generator.random() < MIXED:
            shown.append(_SLIP)
        comparison = " ".join(
            f"{option} {'fits' if option == pick else 'differs'}." for option in options
        )
        text = sections_text(", ".join(shown), options, comparison, pick)
        if generator.random() < BAD_FORMAT:
            text = text.replace(generator.choice(("</analysis>", "</comparison>")), "")
        return text

    def _neighbour(self, asked: _Asked, generator: random.Random) -> str:
        """Another sub-category, of the same last word ("Grebe") where there is one."""
        others = [name for name in self._labels[asked.category] if name != asked.label]
        last = asked.label.split()[-1]
        return generator.choice([name for name in others if name.split()[-1] == last] or others)


def _features(source: str, count: int) -> list[str]:
    return random.Random(source).sample(PHRASES, count)


def _match(template: str, text: str) -> tuple[str, ...] | None:
    found = re.fullmatch(re.escape(template).replace(re.escape(_ANY), _ANY), text)
    return found.groups() if found else None


def _read_rationale_prompt(text: str) -> _Asked | None:
    for concepts in ([_ANY], None):
        # -1 marks the place of the number of options, which is no text.
        template = rationale_prompt(_ANY, _ANY, concepts, _ANY, -1)
        pattern = re.escape(template).replace(re.escape(_ANY), _ANY).replace(r"\-1", r"\d+")
        found = re.fullmatch(pattern, text)
        if found is not None:
            category, _, label, *given, _ = found.groups()
            told = "".join(given).split("; ")
            return _Asked(category, label, tuple(part for part in told if part))
    return None
