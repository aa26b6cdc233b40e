"""Reading one section that is a YAML file of its own: an entry of the zoo, a recipe of a base."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from finer1.params import load_values
from finer1.section import Section

Kind = TypeVar("Kind", bound=Section)


def read_section(kind: type[Kind], path: Path, noun: str) -> Kind:
    """The section in a YAML file.

    noun: what the file is, with its article. Raises ValueError with one sentence per wrong or
    missing key.
    """
    try:
        return kind.model_validate(load_values(path))
    except ValidationError as error:
        lines = [_sentence(kind, item["loc"], item, noun) for item in error.errors()]
        raise ValueError("\n".join(f"{path}: {line}" for line in lines)) from error


def _sentence(kind: type[Section], location: Sequence[int | str], item: Any, noun: str) -> str:
    key = ".".join(map(str, location)) or noun.rpartition(" ")[2]
    if item["type"] == "extra_forbidden":
        parent = ".".join(map(str, location[:-1])) or noun
        fields = ", ".join(_fields(kind, location[:-1]))
        return f"{key} is not a known key; {parent} has {fields}"
    if item["type"] == "missing":
        return f"{key} is missing"
    return f"{key}: {str(item['msg']).removeprefix('Value error, ')}"


def _fields(kind: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Keys of the section at `location`; those above it where one of several kinds stands there."""
    for name in location:
        field = kind.model_fields.get(str(name))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        kind = inner
    return list(kind.model_fields)
