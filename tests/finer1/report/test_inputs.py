import json

import pytest

from finer1.report.general_scores import BENCHMARKS, Score, read_scores
from finer1.report.inputs import read_log


def test_log_is_read_by_metric_in_order_of_steps(tmp_path):
    path = tmp_path / "sft.jsonl"
    path.write_text(
        '{"step": 2, "metrics": {"loss": 1.0}}\n{"step": 1, "metrics": {"loss": 2.0, "lr": 0.1}}\n'
    )
    assert read_log(path) == {"loss": ((1, 2.0), (2, 1.0)), "lr": ((1, 0.1),)}


def test_a_stage_without_steps_has_no_log(tmp_path):
    assert read_log(tmp_path / "none.jsonl") == {}


def test_a_broken_log_line_is_named(tmp_path):
    path = tmp_path / "sft.jsonl"
    path.write_text('{"step": 1, "metrics": {"loss": 1.0}}\n{"step": 2}\n')
    with pytest.raises(ValueError, match=r"sft\.jsonl:2"):
        read_log(path)


def test_a_line_separator_in_a_name_does_not_end_the_line(tmp_path):
    path = tmp_path / "sft.jsonl"
    path.write_text('{"step": 1, "metrics": {"a\u2028b": 1.0}}\n', encoding="utf-8")
    assert read_log(path) == {"a\u2028b": ((1, 1.0),)}


def test_scores_of_benchmarks_come_with_what_they_are_worth(tmp_path):
    tasks = {
        "mme": {"figures": {"n": 8, "perception": 1600.0, "total": 9.0, "unfinished": 0.25}},
        "seed": {"figures": {"n": 8, "unfinished": 0.0}},  # a limit may leave no figure
        "imagewikiqa": {
            "figures": {"n": 7, "accuracy": 0.5, "low": 0.4, "high": 0.6, "unparsed": 0.1}
        },
    }
    content = json.dumps({"limit": 7, "tasks": tasks})
    (tmp_path / "general@q.json").write_text(content, encoding="utf-8")
    assert read_scores(tmp_path, ["q"]) == {
        "q": [
            Score(BENCHMARKS["imagewikiqa"], 50.0, 7, 40.0, 60.0, limit=7, unparsed=10.0),
            Score(BENCHMARKS["mme"], 1600.0, 8, limit=7, unfinished=25.0),
        ]
    }
