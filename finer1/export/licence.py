"""The licence of a model: copied from what it was made from, never assumed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.repocard import metadata_load

_KEYS = ("license", "license_name", "license_link")
_TEXTS = ("LICENSE*", "LICENCE*", "NOTICE*")


@dataclass(frozen=True)
class Licence:
    """As the front matter of a model's card says it."""

    license: str
    license_name: str | None
    license_link: str | None

    @property
    def words(self) -> str:
        """For people."""
        name = self.license_name or self.license
        return f"{name} ({self.license_link})" if self.license_link else name


def read_licence(folder: Path) -> Licence | None:
    """The licence in the front matter of a folder's README.md; None when it states none."""
    card = folder / "README.md"
    given = (metadata_load(card) if card.is_file() else None) or {}
    name, *rest = (str(given[key]) if given.get(key) else None for key in _KEYS)
    return Licence(name, *rest) if name else None


def copy_texts(source: Path, target: Path) -> None:
    """Copy the files with the licence's text, where a folder has them."""
    for path in _texts(source):
        shutil.copyfile(path, target / path.name)


def _texts(folder: Path) -> Iterator[Path]:
    for pattern in _TEXTS:
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())
