"""What runs left behind in their journals, brought to the store: `finer1 sync`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.tracking.journal import find_journals, take_journal
from tasks.tracking.sender import Gone, NotYet, Sender
from tasks.tracking.store import first_line, load_mlflow, open_store, tracking_uri

State = Literal["sent", "held", "waits", "deleted", "failed"]
"""held: by the process of the run. waits: for the run above it. deleted: the run, in MLflow."""


@dataclass(frozen=True)
class Synced:
    """What has become of one journal."""

    name: str
    """Of its folder."""
    state: State
    num_sent: int
    """Records that went to the store now."""
    num_left: int
    """Records that the store does not have."""
    trouble: str
    """What the store said; empty unless failed."""

    @property
    def title(self) -> str:
        """Name of the run and the beginning of its key."""
        return self.name.partition("-")[2]


def has_journal(root: Path, key: str) -> bool:
    """True while the run with a key has a journal."""
    return any(path.name.endswith(key[:8]) for path in find_journals(root))


def sync(root: Path, folders: Sequence[Path] | None = None) -> Iterator[Synced]:
    """Send every journal that no process holds, the oldest first; yields what became of each.

    folders: of the journals, where they are listed already. Ends early when the store is away. A
    run whose process was killed ends as KILLED; the journal of one that was deleted in MLflow is
    dropped.
    """
    waiting = list(find_journals(root) if folders is None else folders)
    if not waiting:
        return
    load_mlflow()
    store: tuple[Any, str] | None = None
    while waiting:
        put_off = []  # A run comes before that above it where the clock was set back.
        for folder in waiting:
            try:
                store = store or open_store(root)
            except Exception as error:
                yield Synced(folder.name, "failed", 0, 0, first_line(error))
                return
            found = _sync_one(root, folder, store, lambda: False)
            if found.state == "waits":
                put_off.append((folder, found))
            else:
                yield found
            if found.state == "failed" and not _answers(store):
                return
        if len(put_off) == len(waiting):
            yield from (found for _, found in put_off)
            return
        waiting = [folder for folder, _ in put_off]


def send_left_behind(root: Path, store: tuple[Any, str], should_stop: Callable[[], bool]) -> None:
    """The same beside a run, quietly, until the store is away or the run ends."""
    for folder in find_journals(root):
        if should_stop():
            return
        found = _sync_one(root, folder, store, should_stop)
        if found.state == "failed" and not _answers(store):
            return


def _answers(store: tuple[Any, str]) -> bool:
    """Whether the store is there, so that what it did not take lies with the journal."""
    client, experiment = store
    try:
        return client.get_experiment(experiment) is not None
    except Exception:
        return False


def _sync_one(
    root: Path, folder: Path, store: tuple[Any, str], should_stop: Callable[[], bool]
) -> Synced:
    journal = take_journal(folder)
    if journal is None:
        return Synced(folder.name, "held", 0, 0, "")
    sender = Sender(journal, tracking_uri(root), lambda key: has_journal(root, key))
    state, sent, left, trouble = _send(sender, store, should_stop)
    if state == "deleted" or (state == "sent" and not left):
        journal.remove()
    else:
        journal.close()
    return Synced(folder.name, state, sent, left, trouble)


def _send(
    sender: Sender, store: tuple[Any, str], should_stop: Callable[[], bool]
) -> tuple[State, int, int, str]:
    """What became of it, records sent and left, and the trouble."""
    state: State = "sent"
    trouble = ""
    before = left = 0
    try:
        before = left = sender.num_waiting()
        try:
            sender.send(*store, should_stop)
        finally:
            left = sender.num_waiting()
        if not left:
            sender.end_killed(store[0])
    except Gone:
        state = "deleted"
    except NotYet:
        state = "waits"
    except Exception as error:
        state, trouble = "failed", first_line(error)
    return state, before - left, left, trouble
