import pytest

from finer1.report.inputs import ClassYield, read_log, read_yield


def test_yield_reads_counts_and_reasons(tmp_path):
    path = tmp_path / "yield.csv"
    path.write_text("category,label,asked,kept,samples,format\nbird,elm wren,4,3,6,3\n")
    assert read_yield(path) == [ClassYield("bird", "elm wren", 4, 3, 6, {"format": 3})]


@pytest.mark.parametrize(
    "text", ["label,asked,kept,samples\nelm wren,1,1,1\n",
             "category,label,asked,kept,samples\nbird,elm wren,one,1,1\n",
             "category,label,asked,kept,samples\nbird,elm wren,1\n"],
)  # fmt: skip
def test_a_broken_yield_is_named_with_its_line(tmp_path, text):
    path = tmp_path / "yield.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"yield\.csv:2"):
        read_yield(path)


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
