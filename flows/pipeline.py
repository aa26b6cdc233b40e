"""The stages under Prefect.

    python -m flows.pipeline                  run them now, with an embedded server
    python -m flows.pipeline -S seed=1        with another value in params.yaml
    python -m flows.pipeline --serve          wait for runs and retries that the UI asks for

With a server of your own (`prefect server start`) set PREFECT_API_URL first; its history lies in
`.prefect/` in this folder, where the embedded server keeps it, too.
"""

import argparse
import os
import sys
from pathlib import Path

from finer1.telemetry import TELEMETRY_OFF
from tasks.exit_codes import BAD_INPUT, FAILED, MACHINE


def main(arguments: list[str]) -> int:
    """Run or serve the flow; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-S", dest="assignments", action="append", metavar="KEY=VALUE")
    parser.add_argument("--root", metavar="DIR", help="folder of the dataset")
    parser.add_argument("--serve", action="store_true", help="wait for runs from the UI")
    options = parser.parse_args(arguments)
    _settle_prefect(Path.cwd())
    # Prefect reads its settings while it is imported.
    from flows.stages import pipeline

    if options.serve:
        pipeline.serve(name="pipeline", limit=1)
        return 0
    try:
        pipeline(options.assignments, options.root or os.environ.get("FINER1_DATA_ROOT"))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"pipeline: {error}", file=sys.stderr)
        if isinstance(error, ValueError):
            return BAD_INPUT
        return MACHINE if isinstance(error, OSError) else FAILED
    return 0


def _settle_prefect(root: Path) -> None:
    """Keep Prefect's data in the project's folder and its telemetry off."""
    os.environ.setdefault("PREFECT_HOME", str(root / ".prefect"))
    os.environ.update(TELEMETRY_OFF)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
