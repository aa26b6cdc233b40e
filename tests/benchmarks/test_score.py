"""The benchmarks of scoring and the table of policies at toy size: contents, never a time."""

import random

import pytest

from benchmarks import policies, score
from finer1.evaluation.policies import PolicyScores
from finer1.prompts import parse_completion
from finer1.released.rows import ReleasedRow

OPTIONS = ("Laysan Albatross", "Black Tern", "Sooty Albatross", "Heermann Gull")
ROW = ReleasedRow("bird_200/images/1/a.jpg", "What bird is this?", OPTIONS, OPTIONS[0])
SCORES = PolicyScores("the first option", 1, 1, 0.25, 1, 1, 1, 0.999, 1, 0)


def test_made_up_completions_are_formatted_and_right_in_three_of_five():
    generator = random.Random(0)
    found = [parse_completion(score.make_completion(ROW, generator)) for _ in range(400)]
    assert all(item.is_tagged and item.answer in OPTIONS for item in found)
    # 0.6, and a quarter of the rest: 0.7; standard deviation 0.023.
    assert sum(item.answer == OPTIONS[0] for item in found) / 400 == pytest.approx(0.7, abs=0.09)


def test_the_stages_path_judges_every_model_and_setting(tmp_path):
    score.write_inputs([("bird", ROW)] * 3, tmp_path, seed=0)
    assert score.score_stage("stage, closed", tmp_path, samples=10) == 3


@pytest.mark.slow  # scikit-learn, for the encoder, takes a second to import
def test_all_rows_of_the_table_are_measured(tmp_path):
    score.write_inputs([("bird", ROW)] * 3, tmp_path, seed=0)
    cells = list(score.scoring_rows(tmp_path, samples=10))
    assert [row[1] for row in cells] == ["3", "3", "3", "3", "18"]
    assert all(int(row[4]) > 0 for row in cells)


def test_the_table_of_policies_is_in_per_cent():
    table = policies.markdown([SCORES], 35566, "words")
    assert "| the first option | 100.0 | 100.0 | 25.0 | 100.0 |" in table
    assert "35,566 released rows" in table


def test_the_table_takes_its_place_in_a_page():
    before, after = policies.MARKS
    page = f"text\n{before}old\n{after}more\n"
    assert policies.replaced(page, "new\n") == f"text\n{before}new\n{after}more\n"
    with pytest.raises(ValueError, match="not both of the lines"):
        policies.replaced("text\n", "new\n")


def test_the_page_of_the_project_has_the_marks(repository):
    page = (repository / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert policies.replaced(page, "")


def test_without_released_files_it_says_which_are_missing(tmp_path, capsys):
    with pytest.raises(SystemExit):
        policies.main([str(tmp_path)])
    assert "lacks aircraft_seen.jsonl" in capsys.readouterr().err
