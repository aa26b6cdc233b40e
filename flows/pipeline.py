"""The stages under Prefect.

    python -m flows.pipeline                  run them now, with an embedded server
    python -m flows.pipeline -S seed=1        with another value in params.yaml

With a server of your own (`python -m flows.prefect_server 4200`) set PREFECT_API_URL first; its
history lies in `.prefect/` in this folder, where the embedded server keeps it, too. What the UI can
start comes from `python -m flows.deploy`.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from finer1.inspection.findings import shown_lines
from finer1.telemetry import TELEMETRY_OFF
from tasks.exit_codes import BAD_INPUT, FAILED, MACHINE
from tasks.tracking.store import shown_uri


def main(arguments: list[str]) -> int:
    """Run the flow; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-S", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--root", metavar="DIR", help="folder of the dataset")
    parser.add_argument(
        "--pause-after",
        action="append",
        default=[],
        metavar="STAGE",
        help="wait there to be resumed in the UI",
    )
    options = parser.parse_args(arguments)
    settle_prefect(Path.cwd())
    # Prefect reads its settings while it is imported.
    from flows.stages import pipeline

    root = options.root or os.environ.get("FINER1_DATA_ROOT", "")
    try:
        with answering_server():
            pipeline(options.assignments, options.pause_after, root)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"pipeline: {shown_lines(error)}", file=sys.stderr)
        if isinstance(error, ValueError):
            return BAD_INPUT
        return MACHINE if isinstance(error, OSError) else FAILED
    return 0


@contextmanager
def answering_server() -> Iterator[None]:
    """A block that speaks with Prefect's server: what fails there is raised as ConnectionError."""
    try:
        yield
    except httpx.HTTPError as error:
        api = shown_uri(os.environ.get("PREFECT_API_URL", "of this run"))
        why = f"{type(error).__name__}: {error}".rstrip(": ")
        if isinstance(error, httpx.HTTPStatusError):
            raise ConnectionError(f"the Prefect server {api} refuses ({why})") from error
        raise ConnectionError(
            f"the Prefect server {api} does not answer ({why}); what the stages have written is in "
            "place: start the server, and run the same again"
        ) from error


def settle_prefect(root: Path) -> None:
    """Keep Prefect's data in the project's folder, its servers to this machine, telemetry off.

    An embedded server is given time to start: Prefect's 20 s are too few on a busy machine.
    """
    os.environ.update(TELEMETRY_OFF)
    for name, value in {
        "PREFECT_HOME": str(root / ".prefect"),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
    }.items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
