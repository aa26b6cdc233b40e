import math
from dataclasses import replace

import pytest

from finer1.evaluation.metrics import model_pairs, score_models, top_confusions
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.taxonomy import group_taxonomy
from finer1.records import ImageRecord

BOOTSTRAP = Bootstrap(samples=500, confidence=0.95, seed=0)


@pytest.fixture
def metrics(verdict):
    """Four open seen questions on two classes, and two open unseen ones, for three models.

    base: nothing right; sft: both of one seen class right; tapo: three of four seen, one of two
    unseen, the other unseen answered with a seen class.
    """
    answers = {
        "base": ["?", "?", "?", "?", "?", "?"],
        "sft": ["elm wren", "elm wren", "elm wren", "elm wren", "?", "?"],
        "tapo": ["elm wren", "elm wren", "oak wren", "elm wren", "reed tern", "oak wren"],
    }
    asked = [
        ("elm wren", 0, True), ("elm wren", 1, True), ("oak wren", 0, True), ("oak wren", 1, True),
        ("reed tern", 0, False), ("reed tern", 1, False),
    ]  # fmt: skip
    return score_models(
        {
            model: [
                verdict(answer=answer, model=model, label=label, number=number, seen=seen)
                for answer, (label, number, seen) in zip(given, asked, strict=True)
            ]
            for model, given in answers.items()
        },
        BOOTSTRAP,
    )


def test_accuracy_is_a_share_of_questions(metrics):
    assert metrics["sft/open/seen/accuracy"] == 2 / 4
    assert metrics["tapo/open/seen/accuracy"] == 3 / 4
    assert metrics["tapo/open/unseen/accuracy"] == 1 / 2


def test_interval_is_over_classes(metrics):
    # sft: elm wren all right, oak wren all wrong; see test_statistics.
    assert (metrics["sft/open/seen/low"], metrics["sft/open/seen/high"]) == (0, 1)


def test_counts_of_questions_and_classes(metrics):
    assert (metrics["tapo/open/seen/n"], metrics["tapo/open/seen/classes"]) == (4, 2)
    assert (metrics["tapo/open/unseen/n"], metrics["tapo/open/unseen/classes"]) == (2, 1)


def test_differences_are_paired(metrics):
    # tapo - sft on seen: question 3 of 4 turns right.
    assert metrics["tapo-sft/open/seen/difference"] == 1 / 4
    assert metrics["sft-base/open/seen/difference"] == 2 / 4
    assert metrics["tapo-base/open/unseen/difference"] == 1 / 2


def test_difference_lies_in_its_interval(metrics):
    low, high = metrics["tapo-sft/open/seen/low"], metrics["tapo-sft/open/seen/high"]
    # Class differences 0 (elm wren) and 1/2 (oak wren).
    assert (low, high) == (0, 1 / 2)


def test_unseen_answers_with_a_seen_class_are_counted(metrics):
    assert metrics["tapo/open/unseen/answered_seen_class"] == 1 / 2
    assert "tapo/open/seen/answered_seen_class" not in metrics


def test_a_setting_without_questions_has_no_keys(metrics):
    assert not any("/closed/" in key for key in metrics)


def test_every_metric_is_finite(metrics):
    assert all(math.isfinite(value) for value in metrics.values())


def test_a_model_that_always_names_the_first_option_scores_like_the_baseline(verdict):
    orders = [
        ("elm wren", "oak wren"), ("oak wren", "elm wren"),
        ("elm wren", "ash wren"), ("elm wren", "reed tern"),
    ]  # fmt: skip
    rows = [
        verdict(answer=options[0], setting="closed", number=number, options=options)
        for number, options in enumerate(orders)
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP)
    # The truth, elm wren, is first in three of four.
    assert metrics["tapo/closed/seen/accuracy"] == 3 / 4
    assert metrics["always_first/closed/seen/accuracy"] == 3 / 4
    assert metrics["tapo/closed/position_1/accuracy"] == 1
    assert metrics["tapo/closed/position_2/accuracy"] == 0
    assert metrics["tapo/closed/position_1/answered"] == 1
    assert metrics["tapo/closed/position_2/answered"] == 0
    assert metrics["tapo/closed/position_1/n"] == 3


def test_the_places_of_options_in_stored_order_are_all_reported(verdict):
    # The truth is always the first of four; answered are the four in turn, and none of them.
    options = ("elm wren", "oak wren", "ash wren", "reed tern")
    rows = [
        verdict(answer=answer, setting="closed", number=number, options=options)
        for number, answer in enumerate((*options, "puffin"))
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP)
    found = {key.split("position_")[1]: metrics[key] for key in metrics if "position_" in key}
    assert found == {
        "1/n": 5, "1/answered": 1 / 5, "1/accuracy": 1 / 5,
        "2/n": 0, "2/answered": 1 / 5,
        "3/n": 0, "3/answered": 1 / 5,
        "4/n": 0, "4/answered": 1 / 5,
        "none/answered": 1 / 5,
    }  # fmt: skip


def test_hedges_and_formats_are_shares_of_all_completions(verdict):
    rows = [
        verdict(answer="elm wren", number=0),
        verdict(answer="elm wren or oak wren", number=1),
        verdict("nothing", number=2),
        verdict("<answer>elm wren</answer>", number=3),
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP)
    assert metrics["tapo/open/seen/hedged"] == 1 / 4
    assert metrics["tapo/open/seen/formatted"] == 2 / 4
    assert metrics["tapo/open/seen/tagged"] == 2 / 4
    assert metrics["tapo/open/seen/accuracy"] == 2 / 4
    assert metrics["tapo/open/seen/paper_accuracy"] == 3 / 4
    assert metrics["tapo/open/seen/tokens"] == 10


def test_confusions_are_counted_per_pair_worst_first(verdict):
    answers = ["oak wren", "ash wren", "oak wren", "elm wren", "puffin"]
    rows = [verdict(answer=answer, number=number) for number, answer in enumerate(answers)]
    assert top_confusions(rows, 5) == [
        (("bird", "elm wren", "oak wren"), 2),
        (("bird", "elm wren", "ash wren"), 1),
    ]


def test_each_dataset_has_its_own_figures(verdict):
    rows = [
        verdict(answer="elm wren", dataset="cub", number=0),
        verdict(answer="oak wren", dataset="cub", number=1),
        verdict(answer="oak wren", dataset="nab", number=2),
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP)
    assert metrics["tapo/cub/open/seen/accuracy"] == 1 / 2
    assert metrics["tapo/nab/open/seen/accuracy"] == 0
    assert (metrics["tapo/cub/open/seen/n"], metrics["tapo/nab/open/seen/n"]) == (2, 1)
    assert metrics["tapo/open/seen/classes"] == 2  # elm wrens of two datasets


def test_a_dataset_has_the_numbers_that_a_cell_has(metrics):
    for cell in ("open/seen", "open/unseen"):
        whole = {key.split("/")[-1] for key in metrics if key.startswith(f"tapo/{cell}/")}
        assert {"macro_accuracy", "hedged", "tagged", "tokens"} < whole
        assert {key.split("/")[-1] for key in metrics if f"tapo/bird/{cell}/" in key} == whole
    assert metrics["tapo/bird/open/unseen/answered_seen_class"] == 1 / 2


def test_paper_accuracy_has_an_interval_over_classes(verdict):
    rows = [
        verdict(answer="elm wren, oak wren", number=number, label=label)
        for number, label in enumerate(("elm wren", "elm wren", "reed tern"))
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP)
    assert metrics["tapo/open/seen/paper_accuracy"] == pytest.approx(2 / 3)
    # A resample of two classes may hold either one alone.
    assert metrics["tapo/open/seen/paper_low"] == 0
    assert metrics["tapo/bird/open/seen/paper_high"] == 1


def test_similarities_are_means_with_intervals(verdict):
    rows = [
        replace(verdict(answer="elm wren", number=0), similarity=1.0, similarity_paper=0.5),
        replace(verdict(answer="oak wren", number=1), similarity=0.5, similarity_paper=0.0),
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP)
    for key in ("tapo/open/seen", "tapo/bird/open/seen"):
        assert metrics[f"{key}/similarity"] == 0.75
        assert metrics[f"{key}/similarity_paper"] == 0.25
        # One class: no width.
        assert metrics[f"{key}/similarity_low"] == metrics[f"{key}/similarity_high"] == 0.75
        assert metrics[f"{key}/similarity_paper_high"] == 0.25


def test_without_similarities_there_are_no_keys_of_them(metrics):
    assert not any("similarity" in key for key in metrics)


def test_votes_of_a_model_are_summed_up(verdict):
    votes = ("<answer>elm wren</answer>", "?")
    metrics = score_models({"tapo": [verdict(answer="elm wren", votes=votes)]}, BOOTSTRAP)
    assert (metrics["tapo/votes/n"], metrics["tapo/votes/ece"]) == (1, 0.5)


def test_levels_are_scored_for_open_questions_of_each_side(verdict):
    image = ImageRecord("i", "bird", "bird", "elm wren", "wren", "0" * 64, "0" * 16, "test")
    rows = [
        verdict(answer="wren", number=0),
        verdict(answer="elm wren", number=1),
        verdict(answer="elm wren", number=2, setting="closed"),
    ]
    metrics = score_models({"tapo": rows}, BOOTSTRAP, group_taxonomy([image]))
    assert metrics["tapo/open/seen/level_group"] == 1
    assert metrics["tapo/open/seen/level_label"] == 1 / 2
    assert metrics["tapo/open/seen/common_prefix"] == 3 / 4  # one of two levels, and both
    assert "tapo/closed/seen/level_group" not in metrics


def test_tapo_is_compared_with_each_further_model():
    models = ("base", "sft", "tapo", "clip", "qwen")
    own = [("sft", "base"), ("tapo", "sft"), ("tapo", "base")]
    assert model_pairs(models) == [*own, ("tapo", "clip"), ("tapo", "qwen")]


def test_a_difference_is_of_cells_that_both_have(verdict):
    closed = verdict(answer="elm wren", setting="closed")
    open_ = verdict(answer="elm wren")
    wrong = verdict(answer="oak wren", setting="closed")
    metrics = score_models({"tapo": [closed, open_], "clip": [wrong]}, BOOTSTRAP)
    assert metrics["tapo-clip/closed/seen/difference"] == 1
    assert "tapo-clip/open/seen/difference" not in metrics
