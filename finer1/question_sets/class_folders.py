"""Folders of images by class, perhaps with captions: the form of ShellfishNet (arXiv:2605.07338).

    DIR/<class>/<image>             or DIR/test/<class>/<image>: then `test` alone is asked about
    DIR/<class>/<image's stem>.txt  its caption, or
    DIR/captions.<suffix>           a table of images (path relative to DIR) and captions

The folder's name is the class. Each image is asked about openly, in one of the ten wordings by
seed; one with a caption is to be described as well.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from finer1.draws import draw
from finer1.evaluation.answers import normalise
from finer1.inspection.suffixes import is_image_name
from finer1.own.names import clean_name, name_problem
from finer1.own.paths import path_problem
from finer1.prompts import QUESTIONS, question
from finer1.question_sets.interface import QuestionSet, SetQuestion, refuse
from finer1.question_sets.pictures import FolderPictures
from finer1.question_sets.tables import DESCRIBE, SUFFIXES, read_table

_TEST = "test"


def read_class_folders(folder: Path, category: str, outside: bool, seed: int) -> QuestionSet:
    """The questions about the images of a folder.

    category: word for the super-category. outside: links may lead out of the folder. Raises
    ValueError naming everything in it that is no class folder, image or caption.
    """
    if not category:
        raise ValueError(
            f"{folder} is a folder of images by class; say what all of them show with --category, "
            "for instance --category bird"
        )
    found = _Found()
    top = folder / _TEST if (folder / _TEST).is_dir() else folder
    for entry in _entries(top):
        if entry.is_dir():
            _take_class(Path(entry.path), folder, found)
        elif is_image_name(entry.name):
            found.findings.append(f"{entry.path}: an image in no class folder; move it into one")
    num_aside = _take_table(folder, category, outside, found)
    if not found.labels and not found.findings:
        raise ValueError(f"{top}: no image; make a folder per class and put its images in")
    refuse(found.findings)
    questions = [
        made
        for name, label in found.labels.items()
        for made in _questions(folder, name, label, found.captions.get(name, ()), category, seed)
    ]
    counts = Counter(item.kind for item in questions)
    note = (
        f"{counts['open']} images of {len(set(found.labels.values()))} classes below {top}, "
        f"{counts['describe']} with a caption"
    )
    aside = (f"{num_aside} captions of images outside {top} left out",) if num_aside else ()
    return QuestionSet(
        folder.resolve().name, tuple(questions), FolderPictures(folder, outside), (note, *aside)
    )


@dataclass
class _Found:
    labels: dict[str, str] = field(default_factory=dict)
    """Path of each image relative to the folder -> its class."""
    captions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    """Normal form of each class -> its folder."""
    findings: list[str] = field(default_factory=list)


def _take_class(folder: Path, root: Path, found: _Found) -> None:
    label = clean_name(folder.name)
    if problem := name_problem(label) or path_problem(folder.name):
        found.findings.append(f"{folder}: the name of the class {problem}; rename the folder")
        return
    first = found.folders.setdefault(normalise(label), folder)
    if first != folder:
        found.findings.append(
            f"{folder}: the name of the class is that of {first}; move the images into one folder"
        )
        return
    stems: dict[str, list[str]] = {}
    texts: list[Path] = []
    for entry in _entries(folder):
        path = Path(entry.path)
        if entry.is_dir():
            found.findings.append(f"{path}: a folder inside a class folder; move its images up")
        elif path.suffix.lower() == ".txt":
            texts.append(path)
        elif is_image_name(entry.name):
            name = path.relative_to(root).as_posix()
            found.labels[name] = label
            stems.setdefault(path.stem, []).append(name)
        else:
            found.findings.append(f"{path}: neither an image nor a caption (.txt); remove it")
    for path in texts:
        _take_caption(path, stems.get(path.stem, []), found)


def _take_caption(path: Path, images: list[str], found: _Found) -> None:
    if len(images) != 1:
        found.findings.append(f"{path}: {len(images)} images beside it have its name; one must")
        return
    try:
        text = " ".join(path.read_bytes().decode("utf-8-sig").split())
    except UnicodeDecodeError:
        found.findings.append(f"{path}: not UTF-8 text; save it as UTF-8")
        return
    if text:
        found.captions[images[0]] = (text,)
    else:
        found.findings.append(f"{path}: an empty caption; write one, or remove the file")


def _take_table(folder: Path, category: str, outside: bool, found: _Found) -> int:
    """Take the captions of the table beside the class folders, if there is one.

    Returns how many are of images that are there but not asked about, as those of a side `train`.
    """
    tables = [folder / f"captions{suffix}" for suffix in SUFFIXES]
    tables = [path for path in tables if path.is_file()]
    if len(tables) > 1:
        raise ValueError(f"{folder} has {tables[0].name} and {tables[1].name}; remove one of them")
    aside = 0
    for path in tables:
        for item in read_table(path, {}, category, outside).questions:
            name = PurePosixPath(item.images[0]).as_posix()  # without ./ and doubled /
            if item.kind != "describe":
                continue
            if name in found.labels:
                found.captions[name] = (*found.captions.get(name, ()), *item.references)
            elif path_problem(name) is None and (folder / name).is_file():
                aside += 1
            else:
                found.findings.append(f"{item.where}: there is a caption but no image of {name}")
    return aside


def _questions(
    folder: Path, name: str, label: str, captions: tuple[str, ...], category: str, seed: int
) -> Iterator[SetQuestion]:
    where = str(folder / name)
    key = f"open/{name}"
    text = question(category, draw(seed, "question template", key) % len(QUESTIONS))
    yield SetQuestion(key, where, "open", (name,), text, (), (label,), category)
    if captions:
        text = DESCRIBE.format(category=category)
        yield SetQuestion(
            f"describe/{name}", where, "describe", (name,), text, (), captions, category
        )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, by name, hidden ones left out. Raises ValueError where it is closed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except PermissionError as error:
        raise ValueError(f"{folder} may not be read; change its permissions") from error
