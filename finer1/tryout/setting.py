"""What the try-it page starts with, in a project and outside of one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.files import write_atomic
from finer1.images import ImageArchive
from finer1.own.corrections import Corrections
from finer1.params import Params
from finer1.report.pictures import picture_uri
from finer1.tryout.calibration import Calibration, find_calibration
from finer1.tryout.classes import NO_CLASSES, ProjectClasses, read_classes
from finer1.tryout.client import Client
from finer1.tryout.desk import CorrectionDesk, Model
from finer1.tryout.view import View

_VOTES, _TEMPERATURE = 5, 0.7
"""To begin with, where no project says how its evaluation votes."""
_THUMBNAIL = 160
"""Pixels of a reference image at most."""


@dataclass(frozen=True)
class Setting:
    """What the page starts with."""

    model: Model
    base: Model | None
    """To stand beside it on request."""
    categories: tuple[str, ...]
    """Words for what an image may show."""
    names: Mapping[str, tuple[str, ...]]
    """Category -> names to choose from."""
    examples: Sequence[Path]
    """Images to try."""
    votes: int
    temperature: float


class Project:
    """The project around the page, which may be none."""

    def __init__(self, home: Path, params: Params | None) -> None:
        """home: its folder. params: None outside of one."""
        self._home = home
        self._params = params
        self.classes: ProjectClasses = (
            read_classes(params.paths, home, params.seed) if params else NO_CLASSES
        )
        self._archive = ImageArchive(home / params.paths.images) if params else None

    def model(self, title: str, client: Callable[[], Client]) -> Model:
        """A model with what the project's evaluation measured of it."""
        return Model(title, client, self._calibration)

    def setting(self, model: Model, base: Model | None, scratch: Path) -> Setting:
        """The start of the page; scratch: folder for the examples' files."""
        params = self._params
        votes = params.predict.votes if params else None
        known = model.client().served.asking.categories
        return Setting(
            model=model,
            base=base,
            categories=known or tuple(self.classes.names),
            names=self.classes.names,
            examples=self._examples(scratch),
            votes=votes.samples if votes and votes.samples else _VOTES,
            temperature=votes.temperature if votes else _TEMPERATURE,
        )

    def view(self) -> View:
        """Renders answers with the project's images."""
        return View(self._references)

    def desk(self, reviewer: str) -> CorrectionDesk:
        """Takes corrections; nothing outside of a project or before its first run."""
        if self._params is None:
            return CorrectionDesk(None, NO_CLASSES, (), reviewer)
        datasets = self._params.download.datasets
        own = [name for name in datasets if self._params.download.is_own(name)]
        corrections = Corrections(self._home / self._params.paths.corrections)
        return CorrectionDesk(corrections, self.classes, own, reviewer)

    def _calibration(self, identity: str) -> Calibration | None:
        if self._params is None:
            return None
        temperature = self._params.predict.votes.temperature
        return find_calibration(self._params.paths, self._home, identity, temperature)

    def _references(self, category: str, name: str) -> list[str]:
        ids = self.classes.references(category, name)
        archive = self._archive
        return [picture_uri(archive.read(item), _THUMBNAIL) for item in ids] if archive else []

    def _examples(self, scratch: Path) -> list[Path]:
        """Files of the examples."""
        paths = []
        for place, image in enumerate(self.classes.examples):
            assert self._archive is not None
            # A sub-category's name can be longer than a file's, or no name of a file at all.
            path = scratch / "examples" / str(place) / f"image{Path(image.id).suffix}"
            write_atomic(path, self._archive.read_bytes(image.id))
            paths.append(path)
        return paths
