import multiprocessing

import pytest

from finer1.engines.generation_file import GenerationFile, damaged_lines
from finer1.engines.interface import Sample

A, B = [Sample("a", 1, "stop")], [Sample("b", 2, "length")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "engine.jsonl"


def test_what_was_added_is_there_for_the_next_reader(path):
    file = GenerationFile(path)
    file.add({"1": A})
    file.add({"2": B})
    assert GenerationFile(path).known == {"1": A, "2": B}


def test_of_two_writers_of_a_key_both_keep_what_the_first_wrote(path):
    first, second = GenerationFile(path), GenerationFile(path)
    first.add({"1": A})
    second.add({"1": B, "2": B})
    assert second.known == {"1": A, "2": B}
    assert GenerationFile(path).known == {"1": A, "2": B}
    assert len(path.read_bytes().splitlines()) == 2


def test_lines_of_another_writer_are_not_overwritten(path):
    first, second = GenerationFile(path), GenerationFile(path)
    first.add({"1": A})
    second.add({"2": B})
    first.add({"3": B})
    assert GenerationFile(path).known == {"1": A, "2": B, "3": B}


def test_a_torn_line_of_a_killed_writer_is_cut_off_by_the_next(path):
    GenerationFile(path).add({"1": A})
    late = GenerationFile(path)
    with path.open("ab") as file:
        file.write(b'{"key": "2", "sam')
    late.add({"3": B})
    assert GenerationFile(path).known == {"1": A, "3": B}


def test_a_file_that_was_deleted_meanwhile_begins_anew(path):
    file = GenerationFile(path)
    file.add({"1": A})
    path.unlink()
    file.add({"2": B})
    assert GenerationFile(path).known == {"2": B}


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"key": "1"}', b'{"key": "1", "samples": [[1]]}'])
def test_a_damaged_line_is_named(path, line):
    GenerationFile(path).add({"1": A})
    with path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(
        ValueError, match=r"engine.jsonl:2: damaged line; delete this line, not the file"
    ):
        GenerationFile(path)


def add_many(path, own, barrier):
    """100 keys shared with the other writer, and 100 of its own."""
    file = GenerationFile(path)
    barrier.wait()
    for number in range(100):
        file.add({f"shared {number}": [Sample(own, 1, "stop")]})
        file.add({f"{own} {number}": A})


def test_two_processes_at_once_lose_and_repeat_nothing(path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    writers = [context.Process(target=add_many, args=(path, own, barrier)) for own in "xy"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(path.read_bytes().splitlines()) == len(GenerationFile(path).known) == 300


@pytest.mark.parametrize("bit", range(0, 8 * 60, 7))
def test_a_flipped_bit_is_found_in_whatever_it_is(path, bit):
    GenerationFile(path).add({"1": A})
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(content))
    assert damaged_lines(path) == [1]
