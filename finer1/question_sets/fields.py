"""Which column of a table is what: names that are known, or as the user says.

A column counts whatever its case. Of several candidates the first that is there is taken: beside
the text of an answer a row may have its letter or number. Columns of further spellings come on top.
FIKA-Bench (arXiv:2605.13193) has an image, a question and a gold answer per row in Chinese and
English; its files are given on request only, so that a name missing here is said with --field.
"""

from collections.abc import Iterable, Mapping, Sequence

ALIASES = ("references", "aliases", "answer_aliases")
"""Columns of further right answers, all of which count."""
KNOWN = {
    "image": ("image_path", "image", "images", "image_file", "file_name", "img", "path"),
    "question": ("question", "question_en", "prompt", "query"),
    "reference": (
        *("ground_truth", "gold_answer", "answer", "answer_en", "answers", "gold", "target"),
        *ALIASES,
    ),
    "caption": ("caption", "captions", "description"),
    "options": ("options", "choices", "candidates"),
    "category": ("category", "super_category"),
    "id": ("id", "question_id", "sample_id", "uid"),
}
"""What a column can be for -> names that say so."""

Fields = Mapping[str, tuple[str, ...]]
"""What a column is for -> its names in this table; several for `reference` alone. A dot leads into
a table inside: question.en."""


def parse_fields(texts: Sequence[str]) -> dict[str, str]:
    """`["question=q.en"]` as {"question": "q.en"}.

    Raises ValueError for what is not so, or is for none of KNOWN.
    """
    chosen = {}
    for text in texts:
        use, equals, name = text.partition("=")
        if not equals or not name or use not in KNOWN:
            raise ValueError(
                f"--field {text}: write USE=COLUMN, USE being one of {', '.join(KNOWN)}; for "
                "instance --field question=text"
            )
        chosen[use] = name
    return chosen


def find_fields(columns: Iterable[str], chosen: Mapping[str, str], where: str) -> Fields:
    """What the columns of a table are for.

    Raises ValueError when one that was chosen is not there, or none is for images or for answers.
    """
    there: dict[str, str] = {}
    for column in columns:
        there.setdefault(column.strip().casefold(), column)
    found: dict[str, tuple[str, ...]] = {}
    for use, names in KNOWN.items():
        if use in chosen:
            top = chosen[use].split(".")[0]
            if top.casefold() not in there:
                raise ValueError(
                    f"{where}: --field {use}={chosen[use]}: there is no column {top}; there are "
                    f"{', '.join(there.values())}"
                )
            found[use] = (there[top.casefold()] + chosen[use][len(top) :],)
        elif known := [name for name in names if name in there]:
            taken = [known[0], *(name for name in known[1:] if name in ALIASES)]
            found[use] = tuple(there[name] for name in taken)
    _check(found, there, where)
    return found


def _check(found: Fields, there: Mapping[str, str], where: str) -> None:
    columns = ", ".join(there.values()) or "none"
    if "image" not in found:
        raise ValueError(
            f"{where}: no column for images ({', '.join(KNOWN['image'])}); there are {columns}; "
            "name it with --field image=COLUMN"
        )
    if "reference" not in found and "caption" not in found:
        raise ValueError(
            f"{where}: no column for right answers ({', '.join(KNOWN['reference'])}) nor for "
            f"captions; there are {columns}; name it with --field reference=COLUMN"
        )
    if "reference" in found and "question" not in found:
        raise ValueError(
            f"{where}: no column for questions ({', '.join(KNOWN['question'])}); there are "
            f"{columns}; name it with --field question=COLUMN"
        )


def value_of(row: Mapping[str, object], name: str) -> object:
    """The value of a column, or of a table inside it; None where there is none."""
    if name in row:
        return row[name]
    value: object = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
