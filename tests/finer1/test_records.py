import pytest

from finer1.records import Prediction, Triplet, read_jsonl, write_jsonl

ROW = Triplet("a", "wren", "bird", ("b",), "robin", ("c", "d"), 0.5, "base_model", "0" * 64)


def test_rows_survive_writing_and_reading(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [ROW, ROW])
    assert read_jsonl(tmp_path / "rows.jsonl", Triplet) == [ROW, ROW]


@pytest.mark.parametrize(
    "name", ["\u00e9\u0301", "\u05d0", "\U0001f426", 'a "quoted"\nname', "x" * 255]
)
def test_any_name_survives(tmp_path, name):
    row = Triplet("a", name, "bird", ("b",), "robin", ("c",), 0.5, "base_model", "0" * 64)
    write_jsonl(tmp_path / "rows.jsonl", [row])
    assert read_jsonl(tmp_path / "rows.jsonl", Triplet) == [row]


def test_a_broken_line_is_named_with_file_number_and_kind(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [ROW])
    path.write_text(path.read_text() + '{"anchor": "a"}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl:2: .*Triplet"):
        read_jsonl(path, Triplet)


def test_a_torn_last_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [ROW])
    path.write_text(path.read_text()[:-5])
    with pytest.raises(ValueError, match="rows.jsonl:1"):
        read_jsonl(path, Triplet)


def test_an_unknown_value_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [Prediction("q", "base", "id", "p", "c", 3, "stop")])
    path.write_text(path.read_text().replace('"stop"', '"stopped"'))
    with pytest.raises(ValueError, match="finish_reason"):
        read_jsonl(path, Prediction)
