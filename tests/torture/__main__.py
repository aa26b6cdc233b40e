"""Kills at random moments: `make torture`.

    python -m tests.torture [KILLS] [SEED]

KILLS hit DVC and what runs it (tests/torture/graph.py): a trial whose victim had ended before is
not among them. Then 100 starts of two at once, and kills of the real stages, about a quarter of
KILLS more (tests/torture/stages.py).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import graph, races
from tests.torture.stages import STAGES


def main(kills: int, seed: int) -> None:
    """Do all of it; raises at the first thing that is not as it must be."""
    start = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="finer1-torture-") as folder:
        hits = graph.torture(Path(folder) / "graph", graph.ROOT, kills, seed, say)
        say(f"dvc: all byte-identical; hit: {hits}")
        slowest = races.races(Path(folder) / "races", 100)
        say(f"races: 100 of 100 starts of two had one winner, the other refused in {slowest:.2f} s")
    each = max(1, kills // 4 // (2 * len(STAGES)))  # each trial kills about two times
    command = [sys.executable, "-O", "-m", "tests.torture.stages", str(each), str(seed)]
    subprocess.run(command, cwd=graph.ROOT, check=True)
    say("torture: passed")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(numbers[0] if numbers else 200, numbers[1] if len(numbers) > 1 else 0)
