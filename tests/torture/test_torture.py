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


SCRIPT = """
import sys
from pathlib import Path
from tests.torture import graph

hits = graph.torture(Path(sys.argv[1]), graph.ROOT, 10, 0, print)
assert sum(hits.values()) == 10
"""


def test_every_kind_of_kill_is_among_ten():
    assert len(graph.TARGETS) == 5
