"""Tables and images as MLflow's pages expect them, written to a journal as plain files.

MLflow's own `log_table` appends to a table that is there and `log_image` gives each file a random
name, so that a record sent twice would be doubled. Here a name follows from what is logged.
"""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.tracking.journal import Journal

_SHOWN_SIDE = 256
"""Longer side of the small copy that lists and tables show."""
_NOT_IN_A_KEY = re.compile(r"[^a-zA-Z0-9_\-./ ]")
_NOT_IN_A_PATH = re.compile(r"[\"',:\[\]{}]")


def journal_image(journal: Journal, name: str, image: Image.Image, step: int, now: int) -> None:
    """Record a picture of the series `name` under the name by which MLflow knows its step."""
    content = _png(image)
    key = _NOT_IN_A_KEY.sub("_", name).replace("/", "~")
    digest = hashlib.sha256(content).hexdigest()[:32]
    stem = f"images/{key}+step+{step}+timestamp+{now}+{digest}"
    file = journal.new_file(f"{digest}.png")
    file.write_bytes(content)
    journal.append("image", file=journal.name_of(file), stem=stem)


def journal_table(journal: Journal, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Record rows of strings, numbers and PIL images as the table `<name>.json`."""
    title = _NOT_IN_A_PATH.sub("_", name)
    pictures: dict[str, str] = {}
    table = {
        "columns": list(rows[0]),
        "data": [[_cell(journal, title, row.get(c), pictures) for c in rows[0]] for row in rows],
    }
    file = journal.new_file(Path(f"{title}.json").name)
    file.write_text(json.dumps(table, default=str), encoding="utf-8")
    journal.append("table", file=journal.name_of(file), path=f"{title}.json", pictures=pictures)


def small_copy(picture: Path) -> bytes:
    """The WebP that lists and tables show of a picture."""
    with Image.open(picture) as image:
        scale = _SHOWN_SIDE / max(image.size)
        small = image.resize([max(round(side * scale), 1) for side in image.size])
        buffer = io.BytesIO()
        small.save(buffer, "webp")
    return buffer.getvalue()


def _cell(journal: Journal, title: str, value: object, pictures: dict[str, str]) -> Any:
    """A value as the table's file holds it; a picture becomes a file of its own, once."""
    if not isinstance(value, Image.Image):
        return value
    content = _png(value)
    stem = f"table_images/{title}/{hashlib.sha256(content).hexdigest()[:32]}"
    if stem not in pictures:
        file = journal.new_file("cell.png")
        file.write_bytes(content)
        pictures[stem] = journal.name_of(file)
    return {"type": "image", "filepath": f"{stem}.png", "compressed_filepath": f"{stem}.webp"}


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)  # The caller waits; its disk has room.
    return buffer.getvalue()
