"""Rows of the released question files with a completion each, as any harness may write them.

A line is a JSON object with the four fields of the released files (image_path, question, options,
ground_truth) and `completion`; further keys are passed over. `category`, `dataset`, `seen`,
`references` and `answer_from` are used where they are there.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer1.evaluation.answers import normalise
from finer1.evaluation.released_rules import OTHER, released_dataset_word, released_word
from finer1.records import Setting
from finer1.reference.classes import released_classes
from finer1.released.joining import file_key

MAX_FINDINGS = 20
"""Bad rows named, at most."""
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ADVICE = "write one object a line"


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="ignore"))
class ScoredRow:
    """One question with what a model wrote."""

    image_path: str
    question: str
    ground_truth: str
    completion: str
    options: tuple[str, ...] = ()
    """As shown to the model, the truth among them; an open question may have none."""
    dataset: str | None = None
    """Not given, that of a released path; None where the path is no released one."""
    category: str | None = None
    """Word for the super-category; not given, that of the dataset where it is one of the six."""
    seen: bool | None = None
    """Not given, as in the released class list; None where neither says it."""
    references: tuple[str, ...] = ()
    """More right answers of an open question, which the headline protocol takes as well."""
    answer_from: Literal["tags", "text"] = "tags"
    """text: in the headline all of a completion without tags is the answer, as of a model that was
    asked for the name alone."""

    @property
    def found_dataset(self) -> str | None:
        """The dataset, given or told by the path."""
        return self.dataset or _released_dataset(self.image_path.rpartition("/")[0])

    @property
    def released_dataset(self) -> str | None:
        """The dataset where it is one of the six."""
        dataset = self.found_dataset
        return dataset if dataset and released_classes(dataset) else None

    @property
    def word(self) -> str:
        """The super-category of Eq. 5 in the headline: the row's own, else the dataset's.

        `object` where neither is known.
        """
        return self.category or self.released_dataset or OTHER

    @property
    def paper_word(self) -> str:
        """That of the released script.

        By the dataset where it is one of the six, since the script reads the word from the path,
        and a folder above the images may hold another.
        """
        dataset = self.released_dataset
        return released_dataset_word(dataset) if dataset else released_word(self.image_path)

    @property
    def found_seen(self) -> bool | None:
        """Whether training may use the sub-category, given or as released."""
        if self.seen is not None:
            return self.seen
        return released_classes(self.found_dataset or "").get(self.ground_truth)

    @property
    def class_name(self) -> str:
        """The sub-category, unique over datasets."""
        return f"{self.found_dataset or ''}/{self.word}/{self.ground_truth}"


_ADAPTER = TypeAdapter(ScoredRow)


def read_scored(path: Path, setting: Setting) -> list[ScoredRow]:
    """The rows of a file, blank lines passed over; a row may come twice.

    Raises ValueError naming up to MAX_FINDINGS bad rows, each with file and line, when any row is
    bad, and when there is no row. A completion is never bad as long as it is a string.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no file; name a JSON-lines file of rows with completions")
    if _is_array(path):
        raise ValueError(
            f"{path} begins as one JSON array; {_ADVICE}, e.g. jq -c '.[]' {path.name}"
        )
    rows: list[ScoredRow] = []
    findings: list[str] = []
    names: dict[str, str] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            found = _read_line(line, setting, names)
            if isinstance(found, str):
                findings.append(f"{path}:{number}: {found}")
            else:
                rows.append(found)
    if len(findings) > MAX_FINDINGS:
        more = f"... and {len(findings) - MAX_FINDINGS} more bad rows"
        findings = [*findings[:MAX_FINDINGS], more]
    if findings:
        raise ValueError("\n".join(findings))
    if not rows:
        raise ValueError(f"{path} holds no row; name a file of rows with completions")
    return rows


def _is_array(path: Path) -> bool:
    with path.open("rb") as lines:
        filled = (line for line in lines if line.removeprefix(_BYTE_ORDER_MARK).strip())
        first = next(filled, b"")
    return first.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"[")


def _read_line(line: bytes, setting: Setting, names: dict[str, str]) -> ScoredRow | str:
    """The row, or what is wrong with it. names: every name once, for the memory's sake."""
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "the line is not UTF-8; write the file as UTF-8"
    except (ValueError, RecursionError) as error:
        return f"the line is no JSON object ({error}); {_ADVICE}"
    if not isinstance(value, dict):
        return f"the line is no JSON object; {_ADVICE}"
    try:
        row = _ADAPTER.validate_python(_prepared(value, names))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = "must be a list of names" if first["type"] == "tuple_type" else first["msg"]
        return f"{where}: {what}"
    return next(_contradictions(row, setting), row)


def _prepared(value: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The known keys that are there; names shared, half characters of the completion replaced.

    A JSON string may hold half of a surrogate pair, which no encoding and no encoder takes.
    """
    known = {key: value[key] for key in _ADAPTER_KEYS if value.get(key) is not None}
    if isinstance(known.get("completion"), str):
        known["completion"] = _LONE_SURROGATES.sub(_REPLACEMENT, known["completion"])
    if isinstance(known.get("ground_truth"), str):
        known["ground_truth"] = names.setdefault(known["ground_truth"], known["ground_truth"])
    if isinstance(known.get("options"), list):
        known["options"] = [
            names.setdefault(name, name) if isinstance(name, str) else name
            for name in known["options"]
        ]
    return known


_ADAPTER_KEYS = (
    "image_path",
    "question",
    "ground_truth",
    "completion",
    "options",
    "dataset",
    "category",
    "seen",
    "references",
    "answer_from",
)


def _contradictions(row: ScoredRow, setting: Setting) -> Iterator[str]:
    if not normalise(row.ground_truth):
        yield "ground_truth: no name is left of it after normalisation; give the sub-category"
    if setting == "open":
        return
    if not row.options:
        yield "options: a closed question needs them; add them, or score with --mode open"
    elif row.ground_truth not in row.options:
        yield f"ground_truth: {row.ground_truth!r} is none of the options"
    elif len(row.options) == 1:
        yield "options: there is one, which leaves nothing to choose; give all that were shown"
    elif len(set(map(normalise, row.options))) < len(row.options):
        yield "options: one is there twice, or two differ in spelling alone; keep one of them"


@cache
def _released_dataset(folder: str) -> str | None:
    """The dataset of a released path's folder, wherever the released folder begins in it."""
    parts = folder.split("/")
    for start in range(len(parts)):
        try:
            return file_key("/".join((*parts[start:], "image")))[0]
        except ValueError:
            continue
    return None
