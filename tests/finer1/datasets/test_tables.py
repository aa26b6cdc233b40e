import pytest

from finer1.datasets.tables import read_table, refuse, usual_values


def test_values_may_hold_spaces_and_headers_are_passed_over(tmp_path):
    path = tmp_path / "table.txt"
    path.write_bytes(b"#ID label\r\n7 Cessna 172\r\n8 F-16A/B\r\n")
    faults = []
    assert read_table(path, faults) == {"7": (2, "Cessna 172"), "8": (3, "F-16A/B")}
    assert faults == []


def test_bytes_that_are_no_text_do_not_end_the_reading(tmp_path):
    path = tmp_path / "table.txt"
    path.write_bytes(b"1 caf\xe9\n2 b\n")
    assert [*read_table(path, [])] == ["1", "2"]


def test_faults_are_told_in_the_order_of_files_and_lines(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    with pytest.raises(ValueError) as error:
        refuse([(b, 1, "x"), (a, 10, "y"), (a, 9, "z")])
    assert str(error.value) == f"{a}:9: z\n{a}:10: y\n{b}:1: x"


def test_no_fault_is_fine():
    refuse([])


def test_the_usual_value_is_the_one_of_most_rows():
    pairs = [("A320", "Airbus"), ("A320", "Boeing"), ("A320", "Airbus"), ("MD-80", "Douglas")]
    assert usual_values(pairs) == {"A320": "Airbus", "MD-80": "Douglas"}
