"""`finer1 review`: the page on which a person judges the teacher's rationales."""

import os
import threading
from collections import Counter
from pathlib import Path

from finer1.params import Params, load_params
from finer1.telemetry import TELEMETRY_OFF
from flows.processes import as_typed

_QUIET = {**TELEMETRY_OFF, "HF_HUB_OFFLINE": "1"}
"""What Gradio reads while it is imported, so that it asks nothing of any other machine."""


def open_review(
    here: Path, port: int | None, reviewer: str, per_class: int | None, opens_browser: bool
) -> None:
    """Serve the page until Ctrl-C, then say what was decided and what to run.

    Raises ValueError when there is nothing to judge, OSError when no port is free.
    """
    from finer1.images import ImageArchive
    from finer1.review.desk import Desk
    from finer1.review.items import read_items
    from finer1.review.view import View

    params = load_params(here / "params.yaml")
    paths = params.paths
    items = read_items(paths, per_class)
    desk = Desk(items, paths.decisions, reviewer, params.cot.max_options)
    waiting = sum(bool(item.failed) for item in items)
    print(f"{len(items)} rationales, {waiting} of them from the queue; {_judged(desk.verdicts())}")
    if params.review.mode == "pass":
        print(f"note      {_switch(params, here)}")
    os.environ.update(_QUIET)
    from finer1.review.page import serve

    blocks, address = serve(desk, View(desk, ImageArchive(paths.images)), port, opens_browser)
    print(f"page      {address} (this machine only; Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
    finally:
        blocks.close(verbose=False)
    print(f"{_judged(desk.verdicts())}, in {paths.decisions}")
    change = " -S review.mode=apply" if params.review.mode == "pass" else ""
    print(f"next: {as_typed(f'finer1 run{change}', here)}")


def _judged(verdicts: Counter[str]) -> str:
    return (
        f"{verdicts.total()} judged: {verdicts['accept']} accepted, {verdicts['edit']} corrected, "
        f"{verdicts['reject']} rejected"
    )


def _switch(params: Params, here: Path) -> str:
    command = as_typed("finer1 run -S review.mode=apply", here)
    return (
        "review.mode is pass, so that runs do not look at decisions; "
        f"`{command}` applies them, and keeps what fails only on language in {params.paths.queue}"
    )
