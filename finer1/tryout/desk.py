"""What happens when an image is asked about or put right, whatever page shows it."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from finer1.images import decode_image
from finer1.own.corrections import MOVE, Corrections
from finer1.recognition.reading import Recognition
from finer1.records import ClassKey, ImageRecord
from finer1.report.pictures import picture_uri
from finer1.tryout.calibration import Calibration
from finer1.tryout.classes import ProjectClasses
from finer1.tryout.client import Asked, Client
from finer1.tryout.view import Told

_STEP_S = 0.05
"""Between two pictures of a completion that is being written."""


@dataclass(frozen=True)
class Model:
    """A model that the page may ask."""

    title: str
    client: Callable[[], Client]
    """Starts its endpoint where there is none yet. Raises OSError when it cannot."""
    calibration: Callable[[str], Calibration | None]
    """Of an identity."""


@dataclass(frozen=True)
class Shown:
    """The answer that stands on the page: what a correction is about."""

    content: bytes
    category: str
    answer: str | None
    identity: str

    @property
    def sha256(self) -> str:
        """Of the image's file."""
        return hashlib.sha256(self.content).hexdigest()


def tell(model: Model, asked: Asked) -> Iterator[tuple[Told, Shown | None]]:
    """What is known of the answer, again and again; at last with what a correction needs.

    Never raises for what the endpoint does or refuses: that is told.
    """
    told = Told(model.title, "looking at the image", category=asked.category)
    try:
        picture = picture_uri(decode_image(asked.content, "the image"))
        told = replace(told, picture=picture, status="waiting for the model")
        yield told, None
        client = model.client()
        served = client.served
        raw, start = "", time.monotonic()
        shown_at = start
        for raw in client.write(asked):
            told = replace(told, raw=raw, status="writing")
            if time.monotonic() - shown_at >= _STEP_S:
                shown_at = time.monotonic()
                yield told, None
        written_s = time.monotonic() - start
        status = f"drawing {asked.votes} votes" if asked.votes else "reading"
        told = replace(told, status=status)
        yield told, None
        drawn = client.draw(asked)
        found = client.read(asked, raw, drawn)
    except (ValueError, OSError) as error:
        yield replace(told, status="", error=str(error)), None
        return
    seconds = (written_s, time.monotonic() - start - written_s)
    shown = Shown(asked.content, asked.category, found.answer, served.identity)
    yield _whole(told, asked, client, found, seconds, model.calibration(served.identity)), shown


def _whole(
    told: Told,
    asked: Asked,
    client: Client,
    found: Recognition,
    seconds: tuple[float, float],
    calibration: Calibration | None,
) -> Told:
    """All that is known at the end. seconds: of the greedy completion, and of the votes."""
    served = client.served
    votes = f", {seconds[1]:.1f} s for {asked.votes} votes at temperature {asked.temperature:g}"
    measured = ""
    if found.votes and calibration is not None:
        most = max(found.votes.values())
        measured = calibration.sentence(most, asked.votes, asked.temperature)
    elif found.votes:
        measured = (
            "How often such shares are right was not measured: there is no evaluation with votes "
            "of this model."
        )
    return replace(
        told,
        status="",
        raw=found.raw,
        found=found,
        num_votes=asked.votes,
        calibration=measured,
        facts=(
            f"{seconds[0]:.1f} s{votes if asked.votes else ''}",
            f"prompt ({served.asking.strategy}): {client.prompt(asked)}",
            f"model {served.name}: {served.identity}",
        ),
        body=json.dumps(client.body(found), ensure_ascii=False, indent=2),
    )


class CorrectionDesk:
    """Takes what a person says an image shows."""

    def __init__(
        self,
        corrections: Corrections | None,
        classes: ProjectClasses,
        own: Collection[str],
        reviewer: str,
    ) -> None:
        """corrections: None outside of a project. own: datasets that images can be added to."""
        self._corrections = corrections
        self._classes = classes
        self._own = own
        self._reviewer = reviewer

    @property
    def choices(self) -> Sequence[ClassKey]:
        """What may be picked."""
        return self._classes.keys if self._corrections else ()

    def correct(self, shown: Shown, place: int) -> str:
        """Keep what an image shows; place: in the choices. Returns what was done.

        Raises ValueError when it is an image of the data, OSError when the disk takes it not.
        """
        assert self._corrections is not None
        key = self.choices[place]
        if known := self._classes.known.get(shown.sha256):
            raise ValueError(f"nothing was written: this is {known.id}, {self._role(known)}")
        self._corrections.add(shown.content, key, shown.answer, shown.identity, self._reviewer)
        kept = f"Kept as {key[2]}, in {self._corrections.rows}"
        if key[0] in self._own:
            return f"{kept}; finer1 improve takes it into the next run."
        return f"{kept}; no run learns from it, since {key[0]} is no dataset of your own."

    def _role(self, known: ImageRecord) -> str:
        """What an image of the data is for, and what can be done about its sub-category."""
        if known.official != "train":
            return "an image that models are tested on, which none may be trained on"
        text = f"already a training image of {known.label}"
        if known.dataset in self._own:
            text += f"; to change that, {MOVE}"
        return text

    def take_back(self, shown: Shown) -> str:
        """Take back what was said of an image. Returns what was done."""
        assert self._corrections is not None
        found = self._corrections.take_back(shown.sha256, self._reviewer)
        if found is None:
            return "Nothing was kept of this image."
        return f"Taken back: {found.label}."
