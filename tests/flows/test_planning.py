import shutil

import pytest
from dvc.repo import Repo

from finer1.params import ExperimentGroup, check_params, load_params, load_values
from finer1.report.published import published_tables
from flows import cli
from flows.differences import experiment_differences
from flows.planning import experiment_params
from flows.values import set_values

FULL_SCALE = ("fine_r1_3b", "fine_r1_7b", "qwen2_vl_2b")


@pytest.fixture
def own_copy(repository, tmp_path):
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(repository / name, tmp_path / name)
    return tmp_path


def run_plan(monkeypatch, capsys, folder, *words):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["finer1", "plan", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_SCALE)
def test_every_stage_of_a_full_scale_setting_resolves(own_copy, name):
    values = load_values(own_copy / "params.yaml")
    experiments = check_params(values, "params.yaml").experiments
    params = set_values(own_copy / "params.yaml", experiment_differences(experiments, name))
    assert params.tapo == experiment_params(name, own_copy).tapo
    Repo.init(str(own_copy), no_scm=True).close()
    with Repo(str(own_copy)) as repository:
        stages = {stage.name: stage for stage in repository.index.stages}
    commands = {name: stage.cmd for name, stage in stages.items()}
    assert commands["tapo"] == "exec python -m tasks.tapo"
    assert commands["predict@base"] == "exec python -m tasks.predict base"
    listed = {name.partition("@")[0] for name in commands}
    # A stage for each model that is named.
    optional = {"baseline", "robustness", "general", "pretrain", "analysis"}
    assert listed | optional == {*load_values(own_copy / "dvc.yaml")["stages"]} | optional
    read = {str(item.def_path) for item in stages["sft"].deps}
    assert params.paths.base.as_posix() in read


@pytest.mark.parametrize("setting", ["fine_r1_3b", "fine_r1_3b_teacher"])
def test_a_full_scale_setting_pins_whatever_an_experiment_changes(repository, setting):
    # Otherwise what is made of the default would change it: an experiment's own base line.
    experiments = load_params(repository / "params.yaml").experiments
    pinned = experiment_differences(experiments, setting).keys()
    groups = [e for e in experiments.values() if isinstance(e, ExperimentGroup)]
    changed = {
        key
        for group in groups
        if setting in group.settings
        for row in group.rows.values()
        for key in experiment_differences(experiments, row.partition("/")[0], is_full_scale=True)
    }
    assert changed - pinned <= {"predict.models"}


@pytest.mark.parametrize("name", FULL_SCALE)
def test_a_full_scale_setting_stands_for_rows_that_are_published(repository, name):
    rows = {row.name for table in published_tables() for row in table.rows}
    assert set(experiment_params(name, repository).report.published.values()) <= rows


def test_a_plan_that_fits_exits_with_0(monkeypatch, capsys, own_copy):
    code, out, err = run_plan(monkeypatch, capsys, own_copy, "fine_r1_3b")
    assert (code, err) == (0, "")
    assert "plan fine_r1_3b: Qwen2.5-VL-3B-Instruct, 3.75 billion parameters" in out
    assert "Qwen2.5-VL-3B-Instruct holds no weights; download Qwen/Qwen2.5-VL-3B-Instruct" in out


def test_a_plan_that_cannot_fit_exits_with_2_and_says_what_to_change(monkeypatch, capsys, own_copy):
    code, out, err = run_plan(monkeypatch, capsys, own_copy, "fine_r1_7b", "--gpu-memory", "80")
    assert code == 2
    assert "DOES NOT FIT" in out
    lines = err.splitlines()
    assert all(line.startswith("finer1: ") for line in lines)
    assert any(
        line.startswith("finer1: sft, optimizer: needs")
        and "--gpus 2 or more with --strategy fsdp2" in line
        for line in lines
    )


def test_several_gpus_are_planned(monkeypatch, capsys, own_copy):
    code, out, _ = run_plan(monkeypatch, capsys, own_copy, "fine_r1_7b", "--gpus", "2")
    assert code == 0
    assert "2 x h200" in out


def test_values_as_they_stand_are_planned_without_a_name(monkeypatch, capsys, repository):
    code, out, _ = run_plan(monkeypatch, capsys, repository)
    assert code == 0
    assert "plan params.yaml: world" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fine_r1_3d",), "there is no experiment fine_r1_3d; the nearest one is fine_r1_3b"),
        (("learning",), "learning is a group; name a single experiment"),
    ],
)
def test_a_wrong_name_is_one_sentence(monkeypatch, capsys, own_copy, words, sentence):
    code, _, err = run_plan(monkeypatch, capsys, own_copy, *words)
    assert (code, err) == (2, f"finer1: {sentence}\n")
