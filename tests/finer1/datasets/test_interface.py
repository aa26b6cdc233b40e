import pytest

from finer1.datasets.interface import find_reader, folder_layout


def test_unknown_dataset_is_named():
    with pytest.raises(ValueError, match=r"no reader finer1/datasets/birb.py"):
        find_reader("birb")


def test_module_that_is_no_reader_is_refused():
    with pytest.raises(ValueError, match="no reader"):
        find_reader("released")


def test_reader_of_a_folder_says_what_it_must_hold():
    assert "train_test_split.txt" in str(folder_layout("bird"))
