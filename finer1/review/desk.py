"""A person's verdicts on a list of items, whatever page they come from."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from finer1.journal import append_row, read_rows
from finer1.records import Decision, Rationale
from finer1.review.items import Item
from finer1.review.texts import Texts, with_texts
from finer1.teacher.decisions import TextKey, check_edit, standing_decisions, without_undone


def utc_now() -> str:
    """The time as a decision has it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Desk:
    """Items in order, and the file that the verdicts on them go to.

    The file is read anew for every answer: two pages on the same desk never disagree.
    """

    def __init__(
        self,
        items: Sequence[Item],
        journal: Path,
        reviewer: str,
        max_options: int,
        now: Callable[[], str] = utc_now,
    ) -> None:
        """max_options: of an edit."""
        self.items = tuple(items)
        self._journal = journal
        self._reviewer = reviewer
        self._max_options = max_options
        self._now = now
        self._places = {item.key: place for place, item in enumerate(self.items)}

    def standing(self) -> dict[TextKey, Decision]:
        """The decisions that count on the items."""
        standing = standing_decisions(read_rows(self._journal, Decision))
        return {key: decision for key, decision in standing.items() if key in self._places}

    def verdicts(self) -> Counter[str]:
        """Verdict -> items on which it stands."""
        return Counter(decision.verdict for decision in self.standing().values())

    def shown(self, place: int) -> Rationale:
        """The item's text, as edited where an edit stands."""
        item = self.items[place]
        decision = self.standing().get(item.key)
        return decision.edited if decision and decision.edited else item.rationale

    def mark(self, place: int) -> str:
        """What a page quotes to say which item it shows."""
        return " ".join(self.items[place].key)

    def check_shown(self, place: int, mark: str) -> None:
        """Raise ValueError unless the page that a verdict on the item comes from shows that one."""
        if mark != self.mark(place):
            raise ValueError(
                "nothing was written, since the page had moved on to "
                f"{self.items[place].rationale.label}; look at it and judge again"
            )

    def accept(self, place: int, texts: Texts) -> None:
        """Take what stands in the fields: an edit where it is not what the teacher wrote.

        Raises ValueError, and writes nothing, when the text cannot be trained on.
        """
        original = self.items[place].rationale
        edited = with_texts(self.shown(place), texts)
        if edited == original:
            self._write(place, "accept")
        else:
            check_edit(original, edited, self._max_options)
            self._write(place, "edit", edited=edited)

    def reject(self, place: int, reasons: Sequence[str]) -> None:
        """Leave the item out of what is trained on."""
        self._write(place, "reject", reasons=tuple(reasons))

    def undo(self) -> int | None:
        """Take back this reviewer's last verdict that was not taken back; its place, None without.

        Another verdict may stand on that item afterwards: an earlier one, or another reviewer's.
        """
        own = [
            self._places[decision.id, decision.sha256]
            for decision in without_undone(read_rows(self._journal, Decision))
            if decision.reviewer == self._reviewer
            and (decision.id, decision.sha256) in self._places
        ]
        if not own:
            return None
        self._write(own[-1], "undo")
        return own[-1]

    def next_open(self, place: int) -> int:
        """The first item from `place` on, then from the start, without a verdict; else `place`."""
        standing = self.standing()
        order = [*range(place, len(self.items)), *range(place)]
        return next((i for i in order if self.items[i].key not in standing), place)

    def _write(
        self,
        place: int,
        verdict: str,
        reasons: tuple[str, ...] = (),
        edited: Rationale | None = None,
    ) -> None:
        name, content = self.items[place].key
        append_row(
            self._journal,
            Decision(
                id=name,
                sha256=content,
                verdict=verdict,  # type: ignore[arg-type]
                reviewer=self._reviewer,
                time=self._now(),
                reasons=reasons,
                edited=edited,
            ),
        )
