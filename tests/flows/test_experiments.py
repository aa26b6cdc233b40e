import json
import re
import subprocess

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from finer1.params import load_params
from flows import experiments
from flows.dag import experiment_revisions
from flows.experiments import Chosen, compare_experiments, parse_seeds, run_experiments
from flows.many_trials import How
from flows.trials import hydra_value
from flows.workspace import hold
from tasks.tracking import prepare_store

VERDICTS = """
from pathlib import Path
from finer1.evaluation.verdicts import Verdict
from finer1.params import load_params
from finer1.records import write_jsonl

epochs = load_params(Path("params.yaml")).sft.epochs
rest = dict(
    is_correct_paper=True, is_tagged=True, is_formatted=True, is_hedged=False,
    is_truth_among_options=True, is_answer_predicted=True, is_cut_off=False, answer="a",
    named=None, truth_position=None, answer_position=None, num_options=0, num_tokens=3,
)
write_jsonl(Path("data/verdicts.jsonl"), [
    Verdict(question_id=f"{setting}/{seen}/{number}", image_id=f"i{number}", model=model,
            dataset="world", category="bird", label=f"l{number % 5}", seen=seen, setting=setting,
            is_correct=number < epochs, **rest)
    for model in ("base", "sft", "tapo")
    for setting in ("open", "closed") for seen in (True, False) for number in range(10)
])
Path("data/metrics").mkdir(exist_ok=True)
Path("data/metrics/score.json").write_text("{}")
Path("data/results.csv").write_text(
    "table,model,metric,value,low,high,published\\n"
    "4,base,probe_last,54.5,48.6,60.1,\\n"
    "4,tapo - base,probe_last_difference,-0.35,-2.3,1.7,\\n"
    "2,base,accuracy,5.1,2.7,7.7,\\n"
)
Path("data/report.html").write_text(f"<h1>Seed {load_params(Path('params.yaml')).seed}</h1>")
"""
GRAPH = """
stages:
  score:
    cmd: python stage.py
    deps: [stage.py]
    params: [seed, sft]
    outs: [data/verdicts.jsonl, data/results.csv, data/report.html]
    metrics: [data/metrics/score.json]
    meta: {seconds: 5}
"""
TRACKED = """
import json
from pathlib import Path
from tasks.attempts import Attempts
from tasks.stage import run_stage

def body(context):
    for name in ("verdicts.jsonl", "results.csv", "report.html"):
        Path("data", name).write_text("table\\n" if name == "results.csv" else "")
    return {"answered": 1.0}

run_stage("score", body, Path.cwd(), Attempts("score", Path.cwd(), ""))
"""
ENDS = """
import os, sys
from pathlib import Path
from finer1.params import load_params

exit_file = Path(os.environ["FINER1_EXIT_FILE"])
exit_file.write_text("1")
if load_params(Path("params.yaml")).sft.epochs == 5:
    os.kill(os.getpid(), 9)
exit_file.write_text("2")
sys.exit(2)
"""
EXPERIMENTS = """
experiments:
  two: {sft.epochs: 2, sft.max_epochs: 2}
  five: {sft.epochs: 5, sft.max_epochs: 5}
  both:
    paper: Figure 3c
    about: a test
    columns: [open/average/accuracy, open/unseen/accuracy]
    seeds: [0, 1]
    settings: []
    rows: {Two: two/sft, Five: five/sft}
    needs: {}
    published: {}
    pairs: [[Five, Two]]
"""


def test_seeds_are_numbers_with_commas():
    assert parse_seeds("0,1,2") == (0, 1, 2)


def test_other_seeds_are_refused():
    with pytest.raises(ValueError, match="numbers with commas"):
        parse_seeds("0..2")


@pytest.mark.parametrize(
    "value",
    [0.5, "it's", None, True, [1, "a"], {}, {"a": {"model": "models/x y", "strategy": "cot"}},
     [{"b": None}]],
)  # fmt: skip
def test_a_value_of_params_yaml_is_one_for_hydra(value):
    override = OverridesParser.create().parse_override(f"++key={hydra_value(value)}")
    assert str(override.value()) == str(value)


@pytest.mark.parametrize("given", ["", "sqlite:///mlflow.db"])
def test_a_trial_tracks_in_the_projects_store(tmp_path, monkeypatch, given):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    environ = experiments._environment(tmp_path, None)
    assert environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/mlflow.db"


def test_trials_of_the_same_folders_hash_them_once(project, monkeypatch):
    params = load_params(project / "params.yaml")
    asked = []

    def hash_folders(data_root, params, home):
        asked.append(params.download.datasets)
        return {"download.content": "-".join(params.download.datasets)}

    monkeypatch.setattr(experiments, "data_differences", hash_folders)
    data = experiments.data_of_trials(None, project)
    trials = [
        params.model_copy(
            update={
                "seed": seed,
                "download": params.download.model_copy(update={"datasets": (name,)}),
            }
        )
        for seed in range(3)
        for name in ("bird", "car")
    ]
    found = [data(trial)["download.content"] for trial in trials]
    assert found == ["bird", "car"] * 3
    assert asked == [("bird",), ("car",)]


def test_a_folder_without_a_commit_is_refused(project):
    params = (project / "params.yaml").read_text().partition("\nexperiments:")[0]
    (project / "params.yaml").write_text(params + EXPERIMENTS)
    with pytest.raises(ValueError, match="no git commit"):
        run_experiments(Chosen(("two",)), How(), project)


@pytest.fixture
def commit(project, repository, monkeypatch):
    """Make the project a commit whose only stage runs the given script."""
    monkeypatch.setenv("PYTHONPATH", str(repository))

    def commit(script):
        (project / ".dvc/config").write_text("[core]\n    analytics = false\n")
        (project / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
        ignored = "/data/\n/mlflow.db*\n/logs/\n/.dvc/tmp\n/.dvc/cache\n"
        (project / ".gitignore").write_text(ignored)
        (project / "models/base/world").mkdir(parents=True)
        (project / "models/base/world/config.json").write_text("{}")
        (project / "dvc.yaml").write_text(GRAPH)
        (project / "stage.py").write_text(script)
        params = (project / "params.yaml").read_text().partition("\nexperiments:")[0]
        (project / "params.yaml").write_text(params + EXPERIMENTS)
        subprocess.run(["git", "init", "-q"], cwd=project, check=True)
        _commit_all(project)

    return commit


def _commit_all(project):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["add", "-A"], ["commit", "-qm", "change"]):
        subprocess.run([*git, *words], cwd=project, check=True)


@pytest.mark.slow
def test_the_worst_trial_gives_the_exit_code(project, commit, capsys):
    commit(ENDS)
    assert run_experiments(Chosen(("two",)), How(), project) == 2
    assert run_experiments(Chosen(("two", "five")), How(jobs=2), project) == 3
    assert "killed (signal 9, likely out of memory) (exit code 3)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_from_before_stays_when_the_next_one_fails(project, commit):
    commit(VERDICTS)
    assert run_experiments(Chosen(("two",)), How(), project) == 0
    before = experiment_revisions(project, {"two-seed0"})
    (project / "stage.py").write_text(ENDS)
    _commit_all(project)
    assert run_experiments(Chosen(("two",)), How(), project) == 2
    assert experiment_revisions(project, {"two-seed0", "two-seed0-new"}) == before
    (project / "stage.py").write_text(VERDICTS + "\n")
    _commit_all(project)
    assert run_experiments(Chosen(("two",)), How(), project) == 0
    after = experiment_revisions(project, {"two-seed0", "two-seed0-new"})
    assert after.keys() == before.keys()
    assert after != before


@pytest.mark.slow
def test_a_folder_in_use_is_left_alone_unless_it_is_held_for_the_experiments(
    project, commit, monkeypatch
):
    commit(VERDICTS)
    with hold(project):
        with pytest.raises(ValueError, match="is in use by process"):
            run_experiments(Chosen(("two",)), How(), project)
        monkeypatch.setenv("FINER1_HELD", "1")
        assert run_experiments(Chosen(("two",)), How(), project) == 0


@pytest.mark.slow
def test_a_group_fills_its_table_and_leaves_the_folder(project, commit, capsys):
    commit(VERDICTS)
    assert run_experiments(Chosen(("both",)), How(jobs=2), project) == 0
    told = capsys.readouterr().out
    assert "4 runs, about" in told
    # 2 and 5 of 10 questions are right on either side; the difference is 30 points at both seeds.
    # On one side two of five classes have one of two right: 0 to 4 of five drawn do.
    assert re.search(r"Two +20\.0 \[\d+\.\d, \d+\.\d\] +20\.0 \[0\.0, 40\.0\]", told)
    assert re.search(r"Five - Two +\+30\.0 \[", told)
    kept = (project / "data/experiments/both.md").read_text()
    assert "| Five - Two | +30.0 [" in kept
    assert "(+30.0 +30.0; sd 0.0)" in kept
    assert "Figure 3c: a test" in (project / "data/experiments/index.html").read_text()
    status = subprocess.run(
        ["git", "status", "--short", "--untracked-files=no"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout == ""


@pytest.mark.slow
def test_on_a_ray_cluster_the_group_is_the_same(project, commit, monkeypatch, capsys):
    pytest.importorskip("prefect_ray", reason="the extra ray is not installed")
    monkeypatch.setenv("PREFECT_HOME", str(project / ".prefect"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    commit(VERDICTS)
    prepare_store(project)
    assert run_experiments(Chosen(("both",), seeds=(0,)), How(jobs=2, on_ray=True), project) == 0
    told = capsys.readouterr().out
    for name in ("two-seed0", "five-seed0"):
        assert re.search(rf"^  {name} +\d+ s  1 stages ran, 0 from cache$", told, re.MULTILINE)
    assert re.search(r"Five - Two +\+30\.0 \[", told)


@pytest.mark.slow
def test_on_a_ray_cluster_the_worst_run_gives_the_exit_code(project, commit, monkeypatch, capsys):
    pytest.importorskip("prefect_ray", reason="the extra ray is not installed")
    monkeypatch.setenv("PREFECT_HOME", str(project / ".prefect"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    commit(ENDS)
    assert run_experiments(Chosen(("two", "five")), How(jobs=2, on_ray=True), project) == 3
    told = capsys.readouterr().out
    assert "killed (signal 9, likely out of memory) (exit code 3)" in told
    assert re.search(r"^  two-seed0 .*\(exit code 2\)", told, re.MULTILINE)


@pytest.mark.slow
def test_a_single_experiment_shows_table_4_and_the_report_of_each_run(project, commit, capsys):
    commit(VERDICTS)
    assert run_experiments(Chosen(("two",), seeds=(0, 1)), How(), project) == 0
    told = capsys.readouterr().out
    for seed in (0, 1):
        assert re.search(rf"Table 4, seed {seed} +base\n", told)
        assert (project / f"data/experiments/two-seed{seed}.html").read_text() == (
            f"<h1>Seed {seed}</h1>"
        )
        assert f"report    {project}/data/experiments/two-seed{seed}.html" in told
    assert re.search(r"linear probe, last epoch +54\.5 \[48\.6, 60\.1\]", told)
    assert re.search(r"linear probe, last epoch +-0\.3 \[-2\.3, \+1\.7\]", told)
    page = (project / "data/experiments/index.html").read_text()
    assert '<a href="two-seed0.html">two-seed0.html</a>, <a href="two-seed1.html">' in page


@pytest.mark.slow
def test_what_is_done_with_the_same_inputs_is_not_run_again(project, commit, capsys):
    commit(VERDICTS)
    assert run_experiments(Chosen(("both",), seeds=(0,)), How(), project) == 0
    capsys.readouterr()
    # The others of the group are made, these are not.
    assert run_experiments(Chosen(("both",)), How(), project) == 0
    told = capsys.readouterr().out
    assert "4 runs, 2 of them done with the same inputs before" in told
    assert "two-seed0 " not in told
    assert "two-seed1 " in told
    assert run_experiments(Chosen(("both",)), How(), project) == 0
    assert "4 runs, 4 of them done" in capsys.readouterr().out
    # Other code: all are made again, and until then compare says so.
    (project / "stage.py").write_text(VERDICTS + "\n")
    _commit_all(project)
    compare_experiments(Chosen(()), "shuffled", None, project / "c.csv", project)
    assert "Two; Five: made with other settings, code or inputs" in capsys.readouterr().out
    assert (project / "c.csv").read_text().startswith("group,paper,setting,kind,row")
    assert run_experiments(Chosen(("both",), seeds=(0,)), How(), project) == 0
    told = capsys.readouterr().out
    assert "2 runs, about" in told
    assert run_experiments(Chosen(("both",), seeds=(0,)), How(again=True), project) == 0
    assert "2 runs, about" in capsys.readouterr().out


@pytest.mark.slow
def test_comparing_says_which_rows_are_missing_and_what_makes_them(project, commit, capsys):
    commit(VERDICTS)
    with pytest.raises(ValueError, match="no run of it yet; make some: finer1 experiments both"):
        compare_experiments(Chosen(("both",)), "shuffled", None, None, project)
    assert run_experiments(Chosen(("two",), seeds=(1,)), How(), project) == 0
    capsys.readouterr()
    compare_experiments(Chosen(("both",)), "shuffled", project / "c.json", None, project)
    told = capsys.readouterr().out
    assert "Five: no run (seeds 0, 1); finer1 experiments both" in told
    assert "Two: no run (seeds 0); finer1 experiments both" in told
    assert json.loads((project / "c.json").read_text())[0]["missing"].keys() == {"Two", "Five"}


@pytest.mark.slow
def test_a_run_hangs_below_its_groups_run_and_its_stages_below_it(project, commit, monkeypatch):
    commit(TRACKED)
    prepare_store(project)  # on a busy machine a new one may take longer than a run waits for it
    assert run_experiments(Chosen(("two",)), How(), project) == 0
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'finer1'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    assert parents == {
        "two": None,
        "two-seed0": runs["two"].info.run_id,
        "score": runs["two-seed0"].info.run_id,
    }
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["two-seed0"].data.metrics == {"answered": 1}
