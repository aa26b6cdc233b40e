"""What a user's own images can come as; all of it gives the same list.

    class folders    DIR/<class>/<image>, or DIR/train/<class>/.. and DIR/test/<class>/..
    imagefolder      DIR with metadata.csv or metadata.jsonl, itself or per split folder
    table            a .csv, .tsv or .jsonl file that names the images (manifest.py)

The folders' names are the sub-categories. Everything wrong is told at once, as findings.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from finer1.datasets.interface import ListedImage, Side
from finer1.inspection.findings import Finding, shown
from finer1.inspection.suffixes import FORMATS, is_image_name
from finer1.own.manifest import TABLES, Table, list_table
from finer1.own.names import SIDES, clean_name, name_problem
from finer1.own.paths import path_problem

_METADATA = ("metadata.csv", "metadata.jsonl")
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What systems leave in folders of images; hidden ones begin with a dot."""


@dataclass
class Source:
    """What was found in a source."""

    images: list[ListedImage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def list_source(source: Path, category: str) -> Source:
    """The images of a folder or table in the order of names or rows; `train` where no split is.

    Raises ValueError when there is nothing that could be listed.
    """
    word = clean_name(category)
    if problem := name_problem(word):
        raise ValueError(f"--category: {shown(category)!r} {problem}; write a word as in: bird")
    root = Path(os.path.realpath(source))
    found = Source()
    if source.is_file():
        if source.suffix.lower() not in TABLES:
            raise ValueError(f"{shown(source)} is no folder and no table ({', '.join(TABLES)})")
        parent = Path(os.path.realpath(source.parent))
        _take_table(Table(source, parent), word, found)
    elif not root.is_dir():
        raise ValueError(f"{shown(source)}: there is no such folder or table")
    elif tables := _tables(source, root):
        for table in tables:
            _take_table(table, word, found)
        _tell_unlisted(source, root, found)
    else:
        _Folders(source, root, word, found).take_all()
    return found


def _take_table(table: Table, category: str, found: Source) -> None:
    images, wrong = list_table(table, category)
    found.images += images
    found.findings += wrong


def _tables(source: Path, root: Path) -> list[Table]:
    """The metadata tables of an imagefolder; none when it is no imagefolder.

    Raises ValueError when a folder has two, or one in a form that is not read.
    """
    tables = []
    splits = [entry.name for entry in _entries(source) if entry.name.casefold() in SIDES]
    for folder, side in ((source, None), *((source / n, SIDES[n.casefold()]) for n in splits)):
        there = [folder / name for name in _METADATA if (folder / name).is_file()]
        if len(there) > 1:
            raise ValueError(f"{shown(folder)} has {' and '.join(_METADATA)}; remove one of them")
        if not there and (folder / "metadata.parquet").is_file():
            raise ValueError(f"{shown(folder)}/metadata.parquet: write it as metadata.csv instead")
        tables += [Table(path, root, side) for path in there]
    if len(tables) > 1 and tables[0].side is None:
        raise ValueError(f"{shown(tables[1].path)} is below {_METADATA[0]}; keep one of them")
    return tables


def _tell_unlisted(source: Path, root: Path, found: Source) -> None:
    """A warning when there are images that no table names."""
    listed = {image.path for image in found.images}
    others = []
    for folder, _, names in os.walk(root):
        paths = (Path(folder, name).relative_to(root).as_posix() for name in sorted(names))
        others += [path for path in paths if is_image_name(path) and path not in listed]
    if others and not found.findings:
        found.findings.append(
            Finding(
                "warning",
                "not in the table",
                shown(source),
                f"{len(others)} images that no table names, first {shown(others[0])}",
                "add rows for them if they are meant; they are left out",
            )
        )


@dataclass
class _Folders:
    """Class folders, read into `found`."""

    source: Path
    root: Path
    category: str
    found: Source
    left_out: list[str] = field(default_factory=list)

    def take_all(self) -> None:
        folders = self._checked_top(self.source)
        names = {entry.name.casefold() for entry in folders}
        if not folders:
            if not self.found.findings:
                raise ValueError(
                    f"{shown(self.source)}: no sub-folder; make one per class and put its images in"
                )
        elif names <= set(SIDES):
            for entry in filter(self._is_inside, folders):
                self._take_classes(
                    self._checked_top(Path(entry.path)), SIDES[entry.name.casefold()]
                )
        elif {"train", "test"} <= names:
            others = ", ".join(shown(e.name) for e in folders if e.name.casefold() not in SIDES)
            self._wrong(
                self.source, f"beside train and test: {others}", "move the class folders into them"
            )
        else:
            self._take_classes(folders, "train")
        self._tell_left_out()

    def _checked_top(self, folder: Path) -> list[os.DirEntry[str]]:
        """The folders in a folder that is to hold class folders alone."""
        folders = []
        for entry in _entries(folder):
            if _is_hidden(entry.name):
                self.left_out.append(entry.path)
            elif entry.is_dir():
                folders.append(entry)
            elif is_image_name(entry.name):
                self._wrong(
                    entry.path,
                    "an image in no class folder",
                    "move it into the folder of its class",
                )
            else:
                self.left_out.append(entry.path)
        return folders

    def _take_classes(self, folders: list[os.DirEntry[str]], side: Side) -> None:
        taken: dict[str, str] = {}
        for entry in folders:
            label = clean_name(entry.name)
            if problem := name_problem(label) or path_problem(entry.name):
                self._wrong(entry.path, f"the name of the class {problem}", "rename the folder")
                continue
            if label in taken:
                self._wrong(
                    entry.path,
                    f"the same class name ({shown(label)}) as the folder {shown(taken[label])}",
                    "rename one of them, or put their images together",
                )
                continue
            taken[label] = entry.path
            if self._is_inside(entry):
                self._take_class(entry.path, label, side)

    def _take_class(self, folder: str, label: str, side: Side) -> None:
        num_before = len(self.found.images) + len(self.found.findings)
        for entry in _entries(Path(folder)):
            if _is_hidden(entry.name):
                self.left_out.append(entry.path)
            elif entry.is_dir():
                self._wrong(
                    entry.path,
                    "a folder inside a class folder",
                    "move its images up, or make it a class folder beside the others",
                )
            elif not entry.is_file() or not is_image_name(entry.name):
                self._wrong(
                    entry.path,
                    f"not an image file ({', '.join(FORMATS)})",
                    "remove it, or convert it to JPEG or PNG",
                )
            elif problem := path_problem(entry.name):
                self._wrong(entry.path, f"its name {problem}", "rename the file")
            elif self._is_inside(entry):
                self.found.images.append(self._image(entry.path, label, side))
        if len(self.found.images) + len(self.found.findings) == num_before:
            self._wrong(folder, "no image in this class folder", "add images, or remove the folder")

    def _image(self, path: str, label: str, side: Side) -> ListedImage:
        return ListedImage(
            path=Path(path).relative_to(self.source).as_posix(),
            category=self.category,
            label=label,
            group=None,
            official=side,
            source=Path(path),
            where=shown(path),
        )

    def _is_inside(self, entry: os.DirEntry[str]) -> bool:
        """False, and told, for a link that leads out of the source."""
        if not entry.is_symlink() or Path(os.path.realpath(entry.path)).is_relative_to(self.root):
            return True
        self._wrong(
            entry.path,
            f"a link that leads out of {shown(self.source)}",
            "put the files themselves there, as `cp -rL` does",
        )
        return False

    def _wrong(self, where: str | Path, what: str, remedy: str) -> None:
        self.found.findings.append(Finding("error", "layout", shown(where), what, remedy))

    def _tell_left_out(self) -> None:
        if self.left_out:
            first = ", ".join(shown(Path(path).name) for path in self.left_out[:3])
            what = f"{len(self.left_out)} hidden or other files that are no images: {first}"
            self.found.findings.append(
                Finding(
                    "warning", "left out", shown(self.source), what, "nothing to do: they stay out"
                )
            )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, by name. Raises ValueError when it may not be read."""
    try:
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=lambda entry: entry.name))
    except PermissionError as error:
        raise ValueError(f"{shown(folder)} may not be read; change its permissions") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER
