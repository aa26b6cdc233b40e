import pytest

from finer1.params import load_values
from flows.listing import list_experiments


@pytest.fixture(scope="module")
def listed(repository):
    values = load_values(repository / "params.yaml")
    keep = ("tapo", "dapo", "strategies", "clip", "human_reviewed", "figure_3b", "data_ablations")
    experiments = values["experiments"]
    values["experiments"] = {name: experiments[name] for name in keep}
    values["experiments"]["data_ablations"] = {
        **experiments["data_ablations"],
        "rows": {"human-reviewed, SFT": "human_reviewed/sft", "default": "tapo/tapo"},
        "needs": {"human-reviewed, SFT": "decisions"}, "pairs": [],
    }  # fmt: skip
    return list_experiments(values, load_values(repository / "dvc.yaml")["stages"]).splitlines()


def test_a_group_has_its_figure_its_runs_its_time_and_its_needs(listed):
    (line,) = [line for line in listed if line.startswith("figure_3b ")]
    # Two experiments, three seeds each.
    assert "Figure 3b  strategies of inference" in line
    assert "  6     about " in line
    assert line.endswith("a CLIP checkpoint for 2 rows")


def test_the_drawn_worlds_reviewer_stands_in_for_decisions(listed):
    (line,) = [line for line in listed if line.startswith("data_ablations ")]
    assert line.endswith("nothing")


def test_columns_are_aligned(listed):
    head, *rows = listed[:3]
    assert {row[head.index("runs") - 1] for row in rows} == {" "}


def test_single_experiments_say_what_they_change(listed):
    assert any(line.startswith("  dapo ") and "tapo.anchor_rollouts=10" in line for line in listed)


def test_the_settings_of_full_scale_are_named(listed):
    (line,) = [line for line in listed if line.startswith("at scale:")]
    assert "--on SETTING" in line
    assert "fine_r1_3b, fine_r1_7b" in line
