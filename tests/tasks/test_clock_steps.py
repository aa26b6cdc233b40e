"""Real stages while the clock of the day steps to and fro: the same bytes, durations that are true.

The clock is that of libfaketime, which reads from a file how far it is off; the monotonic one goes
on, as it does on a machine whose clock is set.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from itertools import cycle
from pathlib import Path

import pytest

from tests.tasks.tracking.test_run import client_of, runs_of

pytestmark = pytest.mark.slow
STEPS = ("+1y", "-1h", "+0", "-40d", "+2d")
DEBIAN = "usr/lib/*/faketime/libfaketime.so.1"


@pytest.fixture
def library():
    """libfaketime, by LIBFAKETIME or where its packages put it."""
    named = os.environ.get("LIBFAKETIME")
    found = [Path(named)] if named else [*Path("/").glob(DEBIAN)]
    if not found:
        pytest.skip(
            "there is no libfaketime; apt install faketime, or pip install it anywhere and name "
            "its libfaketime.so.1 in LIBFAKETIME"
        )
    return found[0]


@pytest.fixture
def project(make_folder):
    """A folder in which stages run, on own images and the tiny random model."""
    return make_folder({"sft.epochs": 6, "sft.batch_size": 1})


def run(stage, project, **environ):
    """Run a stage from an empty store; its outputs' hashes, and the seconds that it took."""
    store = project.folder / "empty store"
    shutil.rmtree(store, ignore_errors=True)
    start = time.monotonic()
    return project.run(stage, FINER1_STORE=str(store), **environ), time.monotonic() - start


@pytest.fixture
def stepping(library, tmp_path):
    """The environment of a clock that steps several times a second, and the steps so far."""
    offset, ended, steps = tmp_path / "offset", threading.Event(), []
    offset.write_text("+0")

    def step():
        for word in cycle(STEPS):
            if ended.wait(0.2):
                return
            part = offset.with_suffix(".part")
            part.write_text(word)
            part.replace(offset)
            steps.append(word)

    thread = threading.Thread(target=step)
    thread.start()
    yield (
        {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        },
        steps,
    )
    ended.set()
    thread.join()


@pytest.fixture
def clock_of(stepping):
    """The days by which a process finds its clock off."""
    code = "import time; print(time.time())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **stepping[0], "FAKETIME_TIMESTAMP_FILE": os.devnull, "FAKETIME": "+9d"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return (float(done.stdout) - time.time()) / 86400


def seconds_told(folder, stage):
    """Each duration that the stage has told, by where."""
    told = {"logs": json.loads((folder / f"logs/{stage}.json").read_text())["seconds"]}
    latest = runs_of(folder, stage)[0]
    told["MLflow"] = (latest.info.end_time - latest.info.start_time) / 1000
    for name in latest.data.metrics:
        if name.startswith("time/") or name.endswith("seconds"):
            history = client_of(folder).get_metric_history(latest.info.run_id, name)
            told |= {f"{name} {point.step}": point.value for point in history}
    return told


@pytest.mark.parametrize("stage", ["cot", "sft"])
def test_a_clock_that_steps_changes_no_byte_and_no_duration(project, stepping, clock_of, stage):
    assert 8.9 < clock_of < 9.1  # else the library does nothing here
    environ, steps = stepping
    expected, _ = run(stage, project)
    del steps[:]
    found, seconds = run(stage, project, **environ)
    assert found == expected
    assert set(STEPS) <= set(steps)
    told = seconds_told(project.folder, stage)
    assert len(told) > 2
    assert {name: value for name, value in told.items() if not 0 <= value <= seconds} == {}
