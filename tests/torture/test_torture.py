import subprocess
import sys

import pytest

from tests.torture import graph, races


def test_of_two_starts_at_once_one_works_and_the_other_refuses(tmp_path):
    assert races.races(tmp_path / "race", 6) < 2


@pytest.mark.slow
def test_ten_kills_of_dvc_and_what_runs_it_change_nothing(tmp_path, repository):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    subprocess.run(command, cwd=repository, check=True, timeout=1800)


@pytest.mark.slow
def test_ten_kills_of_stages_change_nothing(repository):
    command = [sys.executable, "-O", "-m", "tests.torture.stages", "2", "0"]
    stages = ("download", "concepts", "cot", "sft", "triplets")
    subprocess.run([*command, *stages], cwd=repository, check=True, timeout=3600)


CHANGED = """
import sys
from pathlib import Path
from tests.torture.stages import require_whole

copy, change = Path(sys.argv[1]), sys.argv[2]
found = {"rows.jsonl": "b" if change == "output" else "a"}
require_whole(copy, found, {"rows.jsonl": "a"}, "kill 0")
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [("", ""), ("output", "kill 0: ['rows.jsonl']"), ("scratch", "sft-1"), ("part", "left over")],
)
def test_a_difference_fails_although_asserts_are_off(tmp_path, repository, change, said):
    for name in ("models/.resume", "data"):
        (tmp_path / name).mkdir(parents=True)
    if change == "scratch":
        (tmp_path / "models/.resume/sft-1").mkdir()
    if change == "part":
        (tmp_path / "data/.rows.jsonl.part").touch()
    command = [sys.executable, "-O", "-c", CHANGED, str(tmp_path), change]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == (not change)
    assert said in done.stderr


SCRIPT = """
import sys
from pathlib import Path
from tests.torture import graph

hits = graph.torture(Path(sys.argv[1]), graph.ROOT, 10, 0, print)
assert sum(hits.values()) - hits["nothing"] == 10
"""


def test_every_kind_of_kill_is_among_ten():
    assert len(graph.TARGETS) == 5
