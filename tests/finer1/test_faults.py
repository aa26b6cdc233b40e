import ast
import errno
import math
from pathlib import Path

import pytest

from finer1 import faults

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    faults.arm(None)


def test_a_fault_happens_at_its_visit_alone():
    faults.arm("save:after_weights:2:raise")
    faults.point("save:after_weights")
    faults.point("file:write")
    with pytest.raises(RuntimeError, match="save:after_weights"):
        faults.point("save:after_weights")
    faults.point("save:after_weights")


def test_a_full_disk_stays_full():
    faults.arm("file:*:1:enospc")
    for _ in range(2):
        with pytest.raises(OSError) as found:
            faults.point("file:sync")
        assert found.value.errno == errno.ENOSPC


def test_a_pattern_counts_all_its_points_together():
    faults.arm("file:*:2:raise")
    faults.point("file:write")
    faults.point("folder:sync")
    with pytest.raises(RuntimeError, match="file:sync"):
        faults.point("file:sync")


def test_a_number_becomes_nan_once():
    faults.arm("sft:loss:2:nan")
    found = [faults.number("sft:loss", 1.0) for _ in range(3)]
    assert [math.isnan(value) for value in found] == [False, True, False]


def test_without_a_fault_nothing_happens():
    faults.point("file:write")
    assert faults.number("sft:loss", 2.5) == 2.5


@pytest.mark.parametrize("text", ["save", "save:kill", "save:0:kill", "save:x:kill", "save:1:die"])
def test_what_is_no_fault_is_refused(text):
    with pytest.raises(ValueError, match="FINER1_FAULT"):
        faults.arm(text)


def test_points_have_names_of_one_form():
    assert all(name == name.lower() and name.count(":") == 1 for name in points())


def points():
    """Every point of the code."""
    return {
        node.args[0].value
        for room in ("finer1", "tasks", "flows")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("faults.point", "faults.number")
    }
