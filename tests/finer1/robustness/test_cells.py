import pytest

from finer1.robustness.cells import corrupted_id, split_id


def test_the_cell_stands_behind_the_id():
    assert corrupted_id("open/w/a.png", ("fog", 5)) == "open/w/a.png#fog/5"


def test_the_id_keeps_marks_of_its_own():
    assert split_id("open/w/a#1.png#fog/5") == ("open/w/a#1.png", ("fog", 5))


@pytest.mark.parametrize("wrong", ["open/w/a.png", "open/w/a#1.png", "#fog/5", "a#fog/x", "a#/5"])
def test_an_id_without_a_cell_is_refused(wrong):
    with pytest.raises(ValueError, match="is no <id>#<corruption>/<severity>"):
        split_id(wrong)
