"""`finer1 sync`: what runs could not bring to MLflow, brought there now."""

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tasks.exit_codes import MACHINE

if TYPE_CHECKING:
    from tasks.tracking import Synced

_PATIENCE_S = 600.0
"""For one run, whose model may be large; a server that sends a byte now and then ends no call."""


def sync() -> None:
    """Send to MLflow what runs kept here while it was away.

    Example: finer1 sync
    """
    raise typer.Exit(sync_journals(Path.cwd()))


def sync_journals(root: Path) -> int:
    """Print what becomes of every journal; the exit code, 3 when MLflow does not take one."""
    from tasks.tracking import find_journals, tracking_uri
    from tasks.tracking.store import shown_uri

    uri = shown_uri(tracking_uri(root))
    journals = find_journals(root)
    num_journals = len(journals)
    if not journals:
        print(f"nothing waits for {uri}")
        return 0
    print(f"{num_journals} runs wait for {uri}")
    num_told = num_failed = 0
    for found in _bounded(root, journals):
        words = {
            "sent": f"{found.num_sent} records sent",
            "held": "left alone: another process has it, or has just sent it",
            "waits": f"{found.num_left} records left: the run above it is not in MLflow",
            "deleted": "dropped: its run was deleted in MLflow",
            "failed": f"{found.num_sent} sent, {found.num_left} left: {found.trouble}",
        }
        print(f"  {found.title:<28} {words[found.state]}", flush=True)
        num_told += 1
        num_failed += found.state == "failed"
    if num_told < num_journals:
        print(f"{num_journals - num_told} more wait; MLflow is away, run it again when it is back")
        return MACHINE
    return MACHINE if num_failed else 0


def _bounded(root: Path, journals: Sequence[Path]) -> "Iterator[Synced]":
    """What sync yields, until one run takes longer than `_PATIENCE_S`."""
    from tasks.tracking import sync

    found: queue.SimpleQueue[Synced | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            for item in sync(root, journals):
                found.put(item)
        finally:
            found.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := found.get(timeout=_PATIENCE_S)) is not None:
            yield item
    except queue.Empty:
        return
