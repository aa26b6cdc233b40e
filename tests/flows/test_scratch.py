"""Scratch folders of commands that run at once."""

import os

from flows.scratch import scratch_folder


def test_each_command_has_a_folder_of_its_own_which_goes_with_it(tmp_path):
    with scratch_folder(tmp_path / "resume") as first:
        (first / "weights").write_text("1")
        with scratch_folder(tmp_path / "resume") as second:
            assert second != first
        assert not second.exists()
        assert (first / "weights").read_text() == "1"
    assert not first.exists()


def test_what_a_killed_command_left_is_removed(tmp_path):
    child = os.fork()
    if not child:
        with scratch_folder(tmp_path) as folder:
            (folder / "weights").write_text("1")
            os._exit(0)  # without leaving the block, as by a kill
    os.waitpid(child, 0)
    (left,) = tmp_path.glob("ask-*")
    with scratch_folder(tmp_path) as folder:
        assert [*tmp_path.glob("ask-*")] == [folder] != [left]
