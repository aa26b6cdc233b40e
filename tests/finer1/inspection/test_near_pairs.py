import subprocess
import sys

import numpy as np
import pytest

from finer1.inspection import near_pairs as module
from finer1.inspection.near_pairs import near_pairs


def test_pairs_are_those_within_the_threshold():
    # 0 and 3: 2 bits; 0 and 7: 3; 3 and 7: 1; f...f is 60 and more from all.
    hashes = ["0" * 16, "0" * 15 + "3", "0" * 15 + "7", "f" * 16]
    assert near_pairs(hashes, 2) == [(0, 1, 2), (1, 2, 1)]
    assert near_pairs(hashes, 3) == [(0, 1, 2), (0, 2, 3), (1, 2, 1)]


def test_pairs_of_one_kind_are_left_out():
    assert near_pairs(["0" * 16] * 3, 0, [1, 1, 2]) == [(0, 2, 0), (1, 2, 0)]


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (16, 8192)])
def test_blocks_do_not_change_the_pairs(block, monkeypatch):
    values = np.random.default_rng(0).integers(0, 64, 40)
    expected = [
        (i, j, int(values[i] ^ values[j]).bit_count())
        for i in range(40)
        for j in range(i + 1, 40)
        if int(values[i] ^ values[j]).bit_count() <= 2
    ]
    monkeypatch.setattr(module, "_ROWS", block[0])
    monkeypatch.setattr(module, "_COLUMNS", block[1])
    assert near_pairs([f"{value:016x}" for value in values], 2) == expected


def test_the_list_ends_at_its_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 5)
    assert near_pairs(["0" * 16] * 9, 0) == [(0, j, 0) for j in range(1, 6)]


def test_no_hash_gives_no_pair():
    assert near_pairs([], 8) == []


def test_pairs_of_one_content_are_left_out_and_do_not_use_the_limit_up(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 2)
    # Of the six pairs three are of the content "a".
    assert near_pairs(["0" * 16] * 4, 0, None, ["a", "a", "a", "b"]) == [(0, 3, 0), (1, 3, 0)]


def test_the_decoder_is_not_imported():
    code = "import finer1.inspection.near_pairs, sys; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
