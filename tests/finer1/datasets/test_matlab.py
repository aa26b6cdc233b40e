import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from finer1.datasets import car, dog, flower, mat_parser
from finer1.datasets.matlab import (
    MatFile,
    Table,
    check_columns,
    parse_contents,
    read_mat_files,
    texts,
    whole_numbers,
)
from tests.finer1.datasets import mat_files

SHA256 = "0" * 64

REAL = {
    "car names": (
        car,
        "stanford_cars",
        0,
        (
            ("devkit/cars_meta.mat", ("class_names",)),
            ("devkit/cars_train_annos.mat", ("annotations",)),
            ("cars_test_annos_withlabels.mat", ("annotations",)),
        ),
    ),
    "dog list": (
        dog,
        "stanford_dogs",
        0,
        (
            ("train_list.mat", ("file_list", "labels")),
            ("test_list.mat", ("file_list", "labels")),
        ),
    ),
    "flower labels": (
        flower,
        "flowers-102",
        0,
        (("imagelabels.mat", ("labels",)), ("setid.mat", ("trnid", "valid", "tstid"))),
    ),
}
REAL["car annotations"] = (*REAL["car names"][:2], 1, REAL["car names"][3])
REAL["flower split"] = (*REAL["flower labels"][:2], 1, REAL["flower labels"][3])


@pytest.fixture
def numbers(tmp_path):
    path = tmp_path / "numbers.mat"
    mat_files.save_lists(path, labels=[3, 1, 2], names=["ant", "bee", "cat"])
    return path


def test_an_unlisted_file_is_refused_with_its_hash(numbers):
    with pytest.raises(ValueError, match=r"numbers.mat: not the official file \(SHA-256 [0-9a-f]"):
        read_mat_files([MatFile(numbers, SHA256, ("labels",))], "dog", subset=False)


def test_an_unlisted_file_is_read_on_request_and_noted(numbers):
    tables, notes = read_mat_files([MatFile(numbers, SHA256, ("labels",))], "dog", subset=True)
    assert tables[0].columns == {"labels": [3, 1, 2]}
    assert [note.endswith("as download.dog.subset is true") for note in notes] == [True]


def test_a_listed_file_needs_no_note(real_data):
    path = real_data / "flowers-102" / "imagelabels.mat"
    listed = MatFile(path, flower._LABELS_SHA256, ("labels",))
    tables, notes = read_mat_files([listed], "flower", subset=False)
    assert (len(tables[0].columns["labels"]), notes) == (8189, ())


def test_all_missing_files_are_named_at_once(tmp_path):
    files = [MatFile(tmp_path / name, SHA256, ("a",)) for name in ("one.mat", "two.mat")]
    with pytest.raises(ValueError, match=r"one.mat: the file is missing\n.*two.mat: the file"):
        read_mat_files(files, "dog", subset=True)


def test_a_file_that_ends_the_parser_is_one_sentence(tmp_path):
    path = tmp_path / "deep.mat"
    path.write_bytes(mat_files.nested_cells(50_000))
    with pytest.raises(ValueError, match=r"^\S+deep\.mat: its parser was killed by SIGSEGV: .*"):
        read_mat_files([MatFile(path, SHA256, ("a",))], "dog", subset=True)


def test_a_crash_is_the_failure_of_its_file_only(numbers):
    good = (numbers.read_bytes(), ("labels",))
    outcomes = parse_contents([good, (mat_files.nested_cells(50_000), ("a",)), good])
    assert [isinstance(outcome, dict) for outcome in outcomes] == [True, False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable .mat file"),
        (b"<html>moved</html>" * 50, "not a readable .mat file"),
        (mat_files.nested_cells(2), "it holds no variable labels"),
    ],
)
def test_what_is_no_table_is_said_so(content, message):
    assert message in parse_contents([(content, ("labels",))])[0]


def test_a_bomb_of_zeros_is_refused(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "bomb.mat"
    savemat(path, {"a": np.zeros(20_000_000, np.uint8)}, do_compression=True)
    assert path.stat().st_size < 30_000
    assert "a has 20000000 values" in parse_contents([(path.read_bytes(), ("a",))])[0]


def test_a_file_that_is_too_long_is_not_parsed(tmp_path):
    path = tmp_path / "long.mat"
    with path.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(ValueError, match=r"long.mat: longer than 16777216 bytes"):
        read_mat_files([MatFile(path, SHA256, ("a",))], "dog", subset=True)


def test_a_parser_that_takes_too_long_is_trouble_of_the_machine(numbers):
    with pytest.raises(TimeoutError, match=r"did not answer"):
        parse_contents([(numbers.read_bytes(), ("labels",))], patience_s=0.001)


def test_the_parser_ends_with_its_parent():
    program = str(Path(mat_parser.__file__))
    starter = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', {program!r}, str(os.getpid())],"
        " stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        time.sleep(0.3)  # until the child has asked for the signal
        parent.kill()
    for _ in range(50):
        if not _is_running(child):
            break
        time.sleep(0.1)
    assert not _is_running(child)


def test_a_parser_whose_parent_is_gone_ends_at_once():
    command = [sys.executable, "-I", str(Path(mat_parser.__file__)), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=20) == 1


@pytest.mark.parametrize("value", [0, -1, 5, 2.5, "2", None, True, [1], 10**30, float("inf")])
def test_what_is_no_number_in_range_is_named_with_its_row(value):
    wrong = []
    table = Table(Path("x.mat"), {"labels": [4, value, 1.0]})
    assert whole_numbers(table, "labels", 4, wrong) == [4, 0, 1]
    assert [line.startswith("x.mat:labels:2: ") for line in wrong] == [True]


@pytest.mark.parametrize("value", ["", "a/b.jpg", "../a.jpg", "a.jpg\n", 7, None, ["a.jpg"]])
def test_what_is_no_such_text_is_named_with_its_row(value):
    wrong = []
    table = Table(Path("x.mat"), {"names": ["a.jpg", value]})
    assert texts(table, "names", re.compile(r"[a-z]+\.jpg"), "'a.jpg'", wrong) == ["a.jpg", ""]
    assert [line.startswith("x.mat:names:2: ") for line in wrong] == [True]


def test_columns_of_different_lengths_are_refused():
    table = Table(Path("x.mat"), {"a": [1, 2], "b": [1]})
    with pytest.raises(ValueError, match=r"x.mat: columns of different lengths: .*'a': 2, 'b': 1"):
        check_columns(table, ("a", "b"))


@pytest.mark.parametrize("kind", REAL)
def test_mutated_files_are_refused_or_give_the_same_table(real_data, kind):
    _try_mutants(real_data, kind, 15)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REAL)
def test_a_thousand_mutated_files_are_refused_or_give_the_same_table(real_data, kind):
    _try_mutants(real_data, kind, 1000)


def _try_mutants(real_data, kind, count):
    """Without the hash check: what passes the parser and the reader's checks is the same."""
    reader, name, which, files = REAL[kind]
    folder = real_data / name
    wanted = [((folder / path).read_bytes(), variables) for path, variables in files]
    tables = [
        Table(folder / path, columns)
        for (path, _), columns in zip(files, parse_contents(wanted), strict=True)
    ]
    expected = reader.list_images(folder, *tables)
    content, variables = wanted[which]
    generator = random.Random(0)
    mutants = [(mat_files.mutate(content, generator), variables) for _ in range(count)]
    num_refused = 0
    for outcome in parse_contents(mutants):
        if isinstance(outcome, str):
            num_refused += 1
            continue
        tables[which] = Table(tables[which].path, outcome)
        try:
            images = reader.list_images(folder, *tables)
        except ValueError:
            num_refused += 1
            continue
        assert images == expected
    assert num_refused > count // 4


def _is_running(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    # A process that ended stays a zombie until something reaps it.
    state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
