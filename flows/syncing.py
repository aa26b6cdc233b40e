"""`finer1 sync`: what runs could not bring to MLflow, brought there now."""

from pathlib import Path

import typer

from tasks.exit_codes import MACHINE


def sync() -> None:
    """Send to MLflow what runs kept here while it was away.

    Example: finer1 sync
    """
    raise typer.Exit(sync_journals(Path.cwd()))


def sync_journals(root: Path) -> int:
    """Print what becomes of every journal; the exit code, 3 when MLflow does not take one."""
    from tasks.tracking import find_journals, sync, tracking_uri
    from tasks.tracking.store import shown_uri

    uri = shown_uri(tracking_uri(root))
    num_journals = len(find_journals(root))
    if not num_journals:
        print(f"nothing waits for {uri}")
        return 0
    print(f"{num_journals} runs wait for {uri}")
    num_told = num_failed = 0
    for found in sync(root):
        words = {
            "sent": f"{found.num_sent} records sent",
            "held": "left alone: its process is still running",
            "waits": f"{found.num_left} records left: the run above it is not in MLflow",
            "deleted": "dropped: its run was deleted in MLflow",
            "failed": f"{found.num_sent} sent, {found.num_left} left: {found.trouble}",
        }
        print(f"  {found.title:<28} {words[found.state]}", flush=True)
        num_told += 1
        num_failed += found.state == "failed"
    if num_told < num_journals:
        print(f"{num_journals - num_told} more wait; MLflow is away, run it again when it is back")
    return MACHINE if num_failed else 0
