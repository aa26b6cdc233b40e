import pytest

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
