"""A rationale as the fields of a form: four sections, or prose where its target is verbatim."""

from dataclasses import dataclass, replace

from finer1.records import Rationale
from finer1.released.prose import read_prose

_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class Texts:
    """What stands in the form's fields."""

    prose: str = ""
    """All between the think tags, of a rationale with a completion of its own; the others are
    empty then."""
    analysis: str = ""
    options: str = ""
    """A name per line."""
    comparison: str = ""
    prediction: str = ""


def texts_of(rationale: Rationale) -> Texts:
    """The fields that show a rationale."""
    if rationale.completion is not None:
        return Texts(prose=_inner(rationale.completion))
    return Texts(
        analysis=rationale.analysis,
        options="\n".join(rationale.options),
        comparison=rationale.comparison,
        prediction=rationale.prediction,
    )


def with_texts(rationale: Rationale, texts: Texts) -> Rationale:
    """The rationale with what stands in the fields; itself where they show nothing new."""
    if _same(texts, texts_of(rationale)):
        return rationale
    if rationale.completion is not None:
        return _with_prose(rationale, texts.prose)
    options = tuple(line.strip() for line in texts.options.splitlines() if line.strip())
    return replace(
        rationale,
        analysis=texts.analysis.strip(),
        options=options,
        comparison=texts.comparison.strip(),
        prediction=texts.prediction.strip(),
    )


def _with_prose(rationale: Rationale, prose: str) -> Rationale:
    """The completion with other prose; its sections are read from that again."""
    completion = rationale.completion or ""
    found = read_prose(prose)
    return replace(
        rationale,
        completion=completion.replace(_inner(completion), prose, 1),
        analysis=found.analysis,
        options=found.options,
        comparison=found.comparison,
        prediction=found.prediction,
    )


def _inner(completion: str) -> str:
    return completion.partition(_OPEN)[2].rpartition(_CLOSE)[0]


def _same(texts: Texts, other: Texts) -> bool:
    """Equal, but for line ends, which a browser's field makes its own."""
    return [_lines(text) for text in vars(texts).values()] == [
        _lines(text) for text in vars(other).values()
    ]


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
