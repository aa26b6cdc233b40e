import json

import pytest
from dvc.utils.hydra import apply_overrides

from finer1.params import load_values, with_differences
from flows.trials import Project, fingerprint, overrides

ENTRY = {"model": "models/tapo", "strategy": "cot", "max_tokens": None}


@pytest.fixture
def values(repository):
    values = load_values(repository / "params.yaml")
    del values["experiments"]
    values["predict"]["models"] = {"old": ENTRY}
    return values


@pytest.mark.parametrize(
    "differences",
    [
        {"predict.models": {"new": ENTRY}},
        {"predict.models": {}},
        {"general.models.new": {"model": "models/tapo"}},
        {"report.caveats.bird": ["One."], "sft.lr": 1.0e-6, "tapo.clip_dual": None},
    ],
)
def test_a_run_has_the_values_that_were_planned(values, tmp_path, differences):
    path = tmp_path / "params.json"
    path.write_text(json.dumps(values))
    apply_overrides(path, overrides(differences, values))
    assert json.loads(path.read_text()) == with_differences(values, differences)


def test_what_a_run_follows_from(values, tmp_path):
    folder = tmp_path / "models/base/world"
    folder.mkdir(parents=True)
    recipe = {"config": "recipe.yaml", "taxonomy": "twins_0", "seed": 0}
    values["pretrain"]["models"] = {"twins_0": recipe}
    body = {
        "cmd": "make ${key}",
        "deps": ["${item.config}", "${paths.bases}/world"],
        "outs": ["${paths.bases}/${key}"],
    }
    graph = {"pretrain": {"foreach": "${pretrain.models}", "do": body}}
    project = Project(tmp_path, values, graph)
    before = fingerprint({}, project)
    assert fingerprint({"comparison.margin": 0.5}, project) == before
    assert fingerprint({"seed": 7}, project) != before
    (folder / "config.json").write_text("{}")
    assert fingerprint({}, project) != before
