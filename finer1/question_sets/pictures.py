"""The images of a question set: where they lie, that they can be read, what hash they have."""

import hashlib
import os
from pathlib import Path

from finer1.images import decode
from finer1.own.paths import checked_path
from finer1.progress import Progress
from finer1.question_sets.interface import QuestionSet, SetQuestion, refuse


class FolderPictures:
    """Image files by path relative to a folder."""

    def __init__(self, folder: Path, outside: bool) -> None:
        """outside: absolute paths, .. and links that lead out of the folder are followed, too."""
        self._folder = Path(os.path.realpath(folder))
        self._outside = outside

    def __call__(self, name: str) -> bytes:
        """The file. Raises ValueError with what is wrong about the name."""
        if not self._outside:
            try:
                return checked_path(self._folder, self._folder, name).read_bytes()
            except ValueError as error:
                leads_out = ("is an absolute path", "holds ..", "is a link")
                hint = "; --outside allows it" if str(error).startswith(leads_out) else ""
                raise ValueError(f"{error}{hint}") from error
        path = self._folder / name
        if "\0" in name or not path.is_file():
            raise ValueError("is no file; fetch the image first")
        return path.read_bytes()


def check_pictures(asked: QuestionSet) -> dict[str, str]:
    """SHA-256 of every image file by name, each of which could be decoded.

    Everything is decoded once, so that no image stops the work later.
    Raises ValueError with a line per image that cannot be read.
    """
    first: dict[str, SetQuestion] = {}
    for question in asked.questions:
        for name in question.images:
            first.setdefault(name, question)
    bar = Progress("check images", len(first), "images")
    hashes, findings = {}, []
    for name, question in first.items():
        try:
            content = asked.read_bytes(name)
            decode(content)
        except (ValueError, PermissionError) as error:
            findings.append(f"{question.where}: image {name}: {error}")
        else:
            hashes[name] = hashlib.sha256(content).hexdigest()
        bar.advance(1)
    refuse(findings)
    return hashes
