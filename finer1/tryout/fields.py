"""What the fields of the page say, checked before a model is asked."""

from pathlib import Path

from finer1.endpoint.limits import Limits
from finer1.tryout.client import Asked

MOST_VOTES = Limits().samples
"""That the endpoint draws."""


def parse_names(text: str) -> tuple[str, ...]:
    """The names of a list, a line each, each once. Raises ValueError for fewer than two."""
    names = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if len(names) < 2:
        raise ValueError("write two names or more to choose from, a line each, or ask openly")
    return names


def asked_of(
    path: str | None,
    mode: str,
    names: str,
    category: str | None,
    votes: int | None,
    temperature: float | None,
) -> Asked:
    """What the fields say. Raises ValueError with what is missing or wrong."""
    if path is None:
        raise ValueError("drop, paste or choose an image first")
    if not category or not category.strip():
        raise ValueError("say what the image shows, in one word, as in bird")
    if votes is None or temperature is None:
        raise ValueError("say how many votes are drawn, and at which temperature")
    if not 0 <= votes <= MOST_VOTES:
        raise ValueError(f"votes are 0 to {MOST_VOTES}; write another number")
    if votes and not 0 < temperature <= 2:
        raise ValueError("the temperature of votes is above 0, to 2; write another, as in 0.7")
    candidates = parse_names(names) if mode == "list" else ()
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ValueError("the image was removed after an hour; choose it again") from error
    return Asked(content, candidates, category.strip(), int(votes), float(temperature))
