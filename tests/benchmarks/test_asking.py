"""The benchmark of asking at toy size: counts, never a time."""

from PIL import Image

from benchmarks import asking


def test_a_row_asks_each_question_once(tmp_path, capsys):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.new("RGB", (20, 16)).save(path)
    row = asking.row("at once", asking.Paced(0.0), paths, 7, None)
    assert row.split(" | ")[:2] == ["| at once", "7"]
    assert asking.HEADER.count("|") == row.count("|")
    timed = asking.Timed(asking.Paced(0.0))
    assert asking.row("timed", timed, paths, 5, None).split(" | ")[:2] == ["| timed", "5"]
