import json

import pytest
from prefect.utilities.callables import parameter_schema

from finer1.params import load_params
from flows.choices import experiment_names, question_values, setting_names, stage_names
from flows.experiment_flow import experiments
from flows.stages import evaluate, pipeline, stage

FLOWS = pytest.mark.parametrize(
    "flow", [pipeline, stage, experiments, evaluate], ids=lambda f: f.name
)


def properties(flow):
    """Parameters of a flow as Prefect keeps them for its form."""
    return json.loads(json.dumps(parameter_schema(flow.fn).model_dump()))["properties"]


def test_the_stages_offered_are_those_of_the_graph_in_order(project, monkeypatch):
    monkeypatch.chdir(project)
    assert properties(stage)["stages"]["items"]["enum"] == ["first", "second"]
    assert properties(pipeline)["pause_after"]["items"]["enum"] == stage_names(project)


def test_the_experiments_offered_are_the_projects_groups_first(repository, monkeypatch):
    monkeypatch.chdir(repository)
    names = properties(experiments)["names"]["items"]["enum"]
    assert set(names) == set(load_params(repository / "params.yaml").experiments)
    assert names == experiment_names(repository)
    assert names.index("figure_3c") < names.index("smoke")
    offered = properties(experiments)["setting"]["anyOf"][0]["enum"]
    assert offered == setting_names(repository)
    assert "fine_r1_3b" in offered


def test_a_form_made_outside_a_project_offers_no_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert properties(stage)["stages"]["items"] == {"type": "string"}


def test_the_values_of_a_setting_come_from_its_type(tmp_path):
    assert set(question_values("part")(tmp_path)) == {"validation", "test"}


@FLOWS
def test_every_parameter_says_what_it_is(flow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert all(item.get("description") for item in properties(flow).values())


@FLOWS
def test_only_what_has_no_sensible_default_must_be_given(flow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    must = {"stage": ["stages"], "experiments": ["names"]}
    assert parameter_schema(flow.fn).required == must.get(flow.name, [])
