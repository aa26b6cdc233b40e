import copy

import pytest

from flows.forecast import Forecast

GRAPH = {
    "split": {"cmd": "split", "params": ["seed"], "outs": ["data/split"], "meta": {"seconds": 5}},
    "sft": {
        "cmd": "sft", "deps": ["data/split"], "params": ["seed", "sft", "split"],
        "outs": ["models/sft"], "meta": {"seconds": 28},
    },
    "tapo": {
        "cmd": "tapo", "deps": ["models/sft"], "params": ["seed", "tapo"],
        "outs": ["models/tapo"], "meta": {"seconds": 108},
    },
    "predict": {
        "foreach": {"sft": {"model": "models/sft"}, "tapo": {"model": "models/tapo"}},
        "do": {
            "cmd": "predict ${key}", "deps": ["${item.model}"],
            "outs": [{"data/predictions/${key}.jsonl": {"cache": True}}], "meta": {"seconds": 30},
        },
    },
    "baseline": {
        "foreach": "${predict.models}",
        "do": {"cmd": "ask ${key}", "outs": ["data/predictions/${key}.jsonl"],
               "params": ["predict.models.${key}"], "meta": {"seconds": 30}},
    },
    "score": {"cmd": "score", "deps": ["data/predictions"], "meta": {"seconds": 7}},
}  # fmt: skip
VALUES = {
    "seed": 0,
    "download": {"world": {"taxonomy": "embedded"}},
    "split": {"sft_shots": 1, "seen_fraction": 0.6},
    "cot": {"per_class": None, "total": None},
    "sft": {"epochs": 2, "steps": None, "batch_size": 8},
    "tapo": {"steps": 40, "prompts_per_step": 10, "anchor_rollouts": 5, "positive_rollouts": 5},
    "predict": {"models": {}},
}
PER_RUN = 10  # DVC's own


@pytest.fixture
def forecast():
    return Forecast(GRAPH, VALUES)


def other(**changes):
    values = copy.deepcopy(VALUES)
    for section, change in changes.items():
        values[section] = {**values[section], **change} if isinstance(change, dict) else change
    return values


def test_one_run_takes_all_of_its_stages(forecast):
    # 5 + 28 + 108 + 30 + 30 + 7, and DVC's time.
    assert forecast.seconds([VALUES]) == 208 + PER_RUN


def test_what_two_runs_have_in_common_runs_once(forecast):
    # TAPO with another weight: it, its predictions and the score run again.
    changed = other(tapo={"inter_class_coef": 0.0})
    assert forecast.seconds([VALUES, changed]) == 208 + 108 + 30 + 7 + 2 * PER_RUN


def test_an_early_change_runs_all_that_follows(forecast):
    # The sampled share of the images enters the stage sft; TAPO follows from it.
    assert forecast.seconds([VALUES, other(seed=1)]) == 2 * 208 + 2 * PER_RUN


def test_a_further_model_costs_its_own_stage_and_the_score(forecast):
    asked = other(predict={"models": {"cot": {"model": "m"}}})
    assert forecast.seconds([VALUES, asked]) == 208 + 30 + 7 + 2 * PER_RUN


def test_what_is_done_costs_nothing(forecast):
    assert forecast.seconds([VALUES], done=[VALUES]) == PER_RUN


def test_training_goes_with_its_steps(forecast):
    # 8 of 108 s are start and end; half the steps are half of the rest.
    half = other(tapo={"steps": 20})
    assert forecast.seconds([half]) == 208 - 50 + PER_RUN
    # Twice the epochs, four times the images: 20 s of work become 160.
    longer = other(sft={"epochs": 4}, split={"sft_shots": 4})
    assert forecast.seconds([longer]) == 208 + 140 + PER_RUN
