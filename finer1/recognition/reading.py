"""How an image is asked about and what is read of the completion, as the evaluation does both."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finer1.asking import Asking
from finer1.evaluation.answers import normalise, same_name
from finer1.evaluation.reading import read_completion
from finer1.evaluation.strategies import Asked, ask
from finer1.prompts import question, split_options
from finer1.records import Question

_TEMPLATE = 6
"""Of the ten question templates the one that every category fits."""


@dataclass(frozen=True)
class Recognition:
    """What a model says of one image."""

    answer: str | None
    """The one closed answer; None when the completion has no such thing."""
    candidates: tuple[str, ...]
    """Those given, else the ones that the model weighed."""
    sections: Mapping[str, str]
    """The four sections of the rationale by name; empty when any is missing."""
    votes: Mapping[str, float]
    """Answer -> share of the drawn completions that give it; empty when none was drawn."""
    raw: str
    """The whole completion."""

    @property
    def share(self) -> float | None:
        """That of the answer among the votes; None without an answer or without votes."""
        if self.answer is None or not self.votes:
            return None
        shares = {normalise(name): share for name, share in self.votes.items()}
        return shares.get(normalise(self.answer), 0.0)


def asked_about(asking: Asking, candidates: Sequence[str], category: str | None) -> Asked:
    """The question about one image; closed where there are candidates.

    Raises ValueError where the category is needed and not given.
    """
    word = asking.category(category)
    asked = Question(
        id="image",
        image_id="image",
        category=word,
        label="",
        seen=False,
        setting="closed" if candidates else "open",
        text=question(word, _TEMPLATE),
        options=tuple(candidates),
        source="served",
    )
    return ask(asked, asking.strategy, asking.system)


def read_recognition(
    raw: str, asked: Asked, candidates: Sequence[str], drawn: Sequence[str] = ()
) -> Recognition:
    """What a completion says, and the shares of the answers among those that were drawn."""
    found = read_completion(raw, asked.answer_from)
    weighed = split_options(found.sections["options"]) if found.sections else ()
    names = tuple(candidates) or weighed
    answers = [read_completion(text, asked.answer_from).answer for text in drawn]
    return Recognition(found.answer, names, found.sections, vote_shares(answers, names), raw)


def vote_shares(answers: Sequence[str | None], candidates: Sequence[str]) -> dict[str, float]:
    """Answer -> its share, the most frequent first; those without an answer under no name."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for answer in answers:
        if answer is not None:
            key = normalise(answer)
            names.setdefault(key, same_name(answer, candidates) or answer)
            counts[key] += 1
    return {names[key]: times / len(answers) for key, times in counts.most_common()}
