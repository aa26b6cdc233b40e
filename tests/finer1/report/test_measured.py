from dataclasses import replace

import pytest

from finer1.report.measured import Measured, measured_blocks, read_measured

RESULTS = """table,model,metric,value,low,high,published
4,base,probe_best_on_test,54.5139,48.6111,60.0694,
4,TAPO,probe_best_on_test,54.1667,48.7847,59.5486,
4,TAPO,similarity_delta,0.1346,0.1073,0.1592,
4,TAPO,similarity_p,9.36905595487026e-16,,,
4,TAPO - base,probe_best_on_test_difference,-0.3472,-2.2569,1.7361,
4,TAPO - base,similarity_difference,0.0179,0.014,0.0215,
4,Fine-R1,probe_best_on_test,,,,85.0
4,Fine-R1,similarity_delta,,,,
2,base,accuracy,5.1,2.7,7.7,
"""


@pytest.fixture
def measured():
    return read_measured(RESULTS, seed=3)


def test_rows_of_table_4_are_read_with_differences_in_the_row_of_their_figure(measured):
    assert len(measured) == 7  # the empty published cell and the row of Table 2 are none
    assert measured[5] == Measured(
        3, "TAPO - base", "similarity_delta", 0.0179, 0.014, 0.0215, False
    )
    assert measured[6] == Measured(
        3, "Fine-R1", "probe_best_on_test", 85.0, None, None, is_published=True
    )


def test_a_block_has_models_and_published_ones_another_the_differences(measured):
    models, pairs = measured_blocks(measured)
    assert models == [
        ["Table 4, seed 3", "base", "TAPO", "paper: Fine-R1"],
        ["linear probe, best on test (the paper's)", "54.5 [48.6, 60.1]", "54.2 [48.8, 59.5]",
         "85.0"],
        ["congener less others, cosine", "-", "0.1346 [0.1073, 0.1592]", "-"],
        ["p of t", "-", "9.37e-16", "-"],
    ]  # fmt: skip
    assert pairs == [
        ["paired difference", "TAPO - base"],
        ["linear probe, best on test (the paper's)", "-0.3 [-2.3, +1.7]"],
        ["congener less others, cosine", "+0.0179 [+0.0140, +0.0215]"],
    ]


def test_each_seed_has_blocks_of_its_own(measured):
    both = [*measured, *(replace(item, seed=5) for item in measured)]
    assert [block[0][0] for block in measured_blocks(both)] == [
        "Table 4, seed 3", "paired difference", "Table 4, seed 5", "paired difference",
    ]  # fmt: skip


def test_a_run_without_models_to_look_into_has_none():
    assert read_measured("table,model,metric,value,low,high,published\n", 0) == []
    assert measured_blocks([]) == []


def test_a_published_row_of_the_same_name_is_another_one(measured):
    own = replace(measured[0], model="Fine-R1")
    ((head, row), *_) = (block[:2] for block in measured_blocks([own, measured[6]]))
    assert head[1:] == ["Fine-R1", "paper: Fine-R1"]
    assert row[1:] == ["54.5 [48.6, 60.1]", "85.0"]
