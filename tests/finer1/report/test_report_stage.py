import csv
from types import SimpleNamespace

import pytest

from tasks.report import report


@pytest.fixture(scope="module")
def written(further):
    """Metrics of the stage, the tables that it logged and the files."""
    tables, files = {}, []
    context = SimpleNamespace(params=further, log_table=tables.__setitem__, log_file=files.append)
    return report(context), tables, files


def test_page_and_figures_are_written_and_logged(further, written):
    metrics, _, files = written
    pairs = further.paths.logs / "concept_pairs.png"
    assert files == [further.paths.report, further.paths.results, pairs]
    assert pairs.read_bytes().startswith(b"\x89PNG")
    assert metrics["report/bytes"] == further.paths.report.stat().st_size


def test_the_same_tables_are_logged(further, written):
    metrics, tables, _ = written
    with further.paths.results.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert sum(len(rows) for rows in tables.values()) == len(rows) == metrics["report/figures"]
    assert set(tables) == {"table_results", "table_levels", "table_positions", "table_votes"}
