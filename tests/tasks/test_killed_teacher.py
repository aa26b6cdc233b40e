"""A teacher's server that is killed in the middle of a stage, and started again."""

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.tasks.stage_folder import ended

pytestmark = pytest.mark.slow
FAR_S = 600
LABELS = {"beetle": ("black dor", "golden tiger", "green tiger", "violet dor")}
"""Those of own_images."""


class Teacher:
    """The address of a server that comes and goes, and what it has answered."""

    def __init__(self, folder, repository):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}/v1"
        self._log, self._repository = folder / "answered", repository
        self._log.touch()

    @contextmanager
    def running(self, seconds):
        """It is there, and is killed at the end."""
        words = [str(self._port), str(self._log), str(seconds), json.dumps(LABELS)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.tasks.teaching_server", *words], cwd=self._repository
        )
        try:
            wait_for(self._answers)
            yield process
        finally:
            process.kill()
            process.wait()

    def answered(self):
        """A hash per answer that was sent."""
        return self._log.read_text().split()

    def forget(self):
        """As if it had answered nothing."""
        self._log.write_text("")

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def wait_for(is_so):
    until = time.monotonic() + FAR_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize(("stage", "kills_after"), [("concepts", (5, 14)), ("cot", (3,))])
def test_what_a_killed_teacher_answered_is_not_asked_again(
    make_folder, tmp_path, repository, stage, kills_after
):
    changes = {"split.sft_shots": 4}
    engine = {"concepts.engine": "openai:finer", "cot.engine": "openai:finer"}
    project = make_folder(changes, engine | {"runtime.teacher.in_flight": 2})
    teacher = Teacher(tmp_path, repository)
    server = {"FINER1_SERVER": teacher.address}
    with teacher.running(seconds=0):
        expected = project.run(stage, FINER1_STORE=str(tmp_path / "other"), **server)
    needed = sorted(teacher.answered())
    assert len(set(needed)) == len(needed) > max(kills_after) + 2
    teacher.forget()
    store = server | {"FINER1_STORE": str(tmp_path / "empty")}
    for number in kills_after:
        with teacher.running(seconds=0.3) as process, project.started(stage, **store) as asking:
            wait_for(lambda: len(teacher.answered()) >= number or asking.poll() is not None)  # noqa: B023
            process.kill()
            killed_at = time.monotonic()
            code, said = ended(asking)
        assert number <= len(teacher.answered()) < len(needed)
        assert (code, (tmp_path / "exit").read_text()) == (3, "3"), said
        # 15.5 s of refused connections, 32 s with one that broke; the rest is a busy machine's.
        assert time.monotonic() - killed_at < 300
        assert "Traceback" not in said
        (sentence,) = [line for line in said.splitlines() if line.startswith(f"{stage}: http")]
        assert f"{teacher.address}/chat/completions does not answer after" in sentence
        assert not any(path.exists() for path in project.places(stage))
    with teacher.running(seconds=0):
        assert project.run(stage, **store) == expected
    answered = teacher.answered()
    assert len(set(answered)) == len(answered)
    # A kill may come between an answer and the line that tells of it; two are under way at once.
    assert len(needed) - 2 * len(kills_after) <= len(answered)
    assert set(answered) <= set(needed)
