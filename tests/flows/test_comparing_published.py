import json

import pytest

from finer1.params import load_values
from flows import comparing
from flows.comparing import build_tables
from flows.plan import plan_experiments
from flows.trials import Found, Project

LABELS = ("elm wren", "oak wren", "ash wren")


def verdicts(dataset, num_right):
    facts = ("is_correct_paper", "is_tagged", "is_formatted", "is_truth_among_options")
    rest = dict.fromkeys((*facts, "is_answer_predicted"), True)
    rest |= dict.fromkeys(("is_hedged", "is_cut_off"), False)
    rest |= dict.fromkeys(("named", "truth_position", "answer_position"))
    rest |= {"answer": "a", "num_options": 0, "num_tokens": 3, "category": "bird"}
    rest |= {"similarity": 0.5}
    return "".join(
        json.dumps(
            {
                "question_id": f"{setting}/{seen}/{number}",
                "image_id": f"i{number}",
                "model": model,
                "dataset": dataset,
                "label": label,
                "seen": seen,
                "setting": setting,
                "is_correct": number < num_right[model],
                **rest,
            }
        )
        + "\n"
        for model in ("base", "sft", "tapo")
        for setting in ("open", "closed")
        for seen in (True, False)
        for number, label in enumerate(LABELS)
    )


@pytest.fixture
def table(repository, monkeypatch):
    """Table of a group whose runs are all there."""
    values = load_values(repository / "params.yaml")
    project = Project(repository, values, {})

    def make(name, setting, protocol="shuffled", dataset="world"):
        def texts(root, revisions, path):
            right = [{"base": 1, "sft": 2, "tapo": 3} for _ in revisions]
            return [verdicts(dataset, item) for item in right]

        monkeypatch.setattr(comparing, "experiment_texts", texts)
        monkeypatch.setattr(
            comparing,
            "find_trials",
            lambda trials, *_, **__: {t.name: Found("done", str(t.seed)) for t in trials},
        )
        plan = plan_experiments(
            values, [name], [0, 1], lambda params: {}, lambda path: True, setting
        )
        (found,) = build_tables(plan, project, protocol)
        return found

    return make


@pytest.mark.parametrize("setting", [None, "twin_worlds"])
def test_beside_the_drawn_world_published_figures_stand_for_the_shape_alone(table, setting):
    made = table("figure_3c", setting)
    assert made.published_columns
    assert any("shown for the shape of the table alone" in note for note in made.notes)


def test_published_figures_stand_beside_their_own_base_alone(table):
    own = table("figure_3c", "fine_r1_3b", dataset="bird")
    assert own.published_columns
    assert any("released evaluator's rules" in note for note in own.notes)
    other = table("figure_3c", "fine_r1_7b", dataset="bird")
    assert not other.published_columns
    assert (
        "The figures of Figure 3c are of Qwen2.5-VL-3B, not of this base (report.published), and "
        "left out." in other.notes
    )


def test_by_the_papers_rules_it_is_said_that_options_keep_their_order(table):
    assert any("questions.order=stored" in note for note in table("figure_3a", None, "paper").notes)
    assert not any("questions.order" in note for note in table("figure_3a", None).notes)


@pytest.mark.parametrize(
    ("setting", "datasets"),
    [(None, {"world"}), ("twin_worlds", {"world twins_0", "world twins_1"})],
)
def test_classes_of_one_name_in_two_worlds_are_two(table, monkeypatch, setting, datasets):
    compared = []
    monkeypatch.setattr(comparing, "compare", lambda runs, *_: compared.extend(runs) or [])
    table("figure_3c", setting)
    assert {row.dataset for run in compared for row in run.verdicts} == datasets
