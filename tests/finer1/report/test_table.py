import json

import pytest

from finer1.report.names import MODEL_NAMES
from finer1.report.table import points, result_table, run_table


def tell(metrics, names=MODEL_NAMES):
    return result_table(metrics, names, "char_ngrams: spelling alone", "options shuffled")


def test_result_table_has_a_row_per_model_and_difference(metrics):
    lines = [line.split("  ")[0].strip() for line in tell(metrics).splitlines()]
    assert lines[3:9] == ["base", "SFT", "TAPO", "", "SFT - base", "TAPO - SFT"]


def test_result_table_prints_accuracy_with_interval(metrics):
    rows = {line[:10].strip(): line for line in tell(metrics).splitlines()}
    assert rows["TAPO"].count("100.0 [100.0, 100.0]") == 4
    assert "33.3 [" in rows["SFT"]
    assert "+66.7 [" in rows["TAPO - SFT"]


def test_result_table_is_aligned_ascii(metrics):
    table = tell(metrics)
    assert table.isascii()
    assert len({len(line) for line in table.splitlines()[:6]}) == 1


def test_result_table_prints_the_released_rules_below(metrics):
    (line,) = [row for row in tell(metrics).splitlines() if row.startswith("SFT, released rules")]
    # Open: inclusion, then similarity; closed: inclusion alone. sft is right on 2 of 6 seen.
    assert line.split("  ")[-1].strip() == "0.0"
    assert "33.3, " in line
    assert "in % (by char_ngrams: spelling alone)." in tell(metrics)


def test_inclusion_comes_with_the_order_of_the_options(params, metrics):
    assert "inclusion in % (closed-world: options shuffled)" in run_table(params, metrics)
    questions = params.questions.model_copy(update={"order": "stored"})
    stored = params.model_copy(update={"questions": questions})
    assert "inclusion in % (closed-world: truth first)" in run_table(stored, metrics)


def test_further_models_have_rows_and_differences(further):
    metrics = json.loads((further.paths.metrics / "score.json").read_text(encoding="utf-8"))
    rows = {line.split("  ")[0]: line for line in run_table(further, metrics).splitlines()}
    assert rows["CLIP-L"].split()[1:3] == ["-", "-"]  # closed-world only
    assert rows["TAPO - CLIP-L"].count("[") == 2


def test_result_table_names_the_level_of_its_intervals(metrics):
    assert "95 % interval" in tell(metrics)


@pytest.mark.parametrize(
    ("share", "text"), [(0.136, "+13.6"), (-0.016, "-1.6"), (0.0, "0.0"), (-0.0001, "0.0")]
)
def test_differences_are_signed_and_zero_is_not(share, text):
    assert points(share) == text
