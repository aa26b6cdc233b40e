"""What the page shows besides its fields, as HTML; every text of the data is escaped."""

from pathlib import Path

from finer1.images import ImageArchive
from finer1.report.pictures import picture_uri
from finer1.review.desk import Desk
from finer1.templates import templates

ZOOMED_SIDE = 1600
"""Pixels of the enlarged image at most."""

_VERDICTS = {"accept": "accepted", "edit": "corrected", "reject": "rejected"}


class View:
    """Renders the items of a desk with their images."""

    def __init__(self, desk: Desk, archive: ImageArchive) -> None:
        self._desk = desk
        self._archive = archive
        environment = templates(Path(__file__).parent)
        self._head = environment.get_template("head.html")
        self._evidence = environment.get_template("evidence.html")

    def head(self, place: int) -> str:
        """Progress over all items, and where this one stands."""
        standing = self._desk.standing()
        item = self._desk.items[place]
        decision = standing.get(item.key)
        counts = self._desk.verdicts()
        return self._head.render(
            place=place + 1,
            total=len(self._desk.items),
            judged=len(standing),
            counts=[(word, counts[name]) for name, word in _VERDICTS.items()],
            verdict=_VERDICTS[decision.verdict] if decision else "not judged",
            failed=item.failed,
        )

    def evidence(self, place: int) -> str:
        """The image, its label and concepts, and the reference images."""
        item = self._desk.items[place]
        return self._evidence.render(
            item=item,
            picture=picture_uri(self._archive.read(item.rationale.image_id), ZOOMED_SIDE),
            same=[picture_uri(self._archive.read(name)) for name in item.same],
            others=[picture_uri(self._archive.read(name)) for name in item.others],
        )
