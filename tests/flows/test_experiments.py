import subprocess

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from finer1.params import load_params
from flows import experiments
from flows.experiments import parse_seeds, run_experiments

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
"""
GRAPH = """
stages:
  score:
    cmd: python stage.py
    deps: [stage.py]
    params: [seed, sft]
    outs: [data/verdicts.jsonl]
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
    seeds: [0, 1]
    rows: {Two: two/sft, Five: five/sft}
    pairs: [[Five, Two]]
"""


def test_seeds_are_numbers_with_commas():
    assert parse_seeds("0,1,2") == [0, 1, 2]


def test_other_seeds_are_refused():
    with pytest.raises(ValueError, match="numbers with commas"):
        parse_seeds("0..2")


@pytest.mark.parametrize(
    "value",
    [0.5, "it's", None, True, [1, "a"], {}, {"a": {"model": "models/x y", "strategy": "cot"}},
     [{"b": None}]],
)  # fmt: skip
def test_a_value_of_params_yaml_is_one_for_hydra(value):
    override = OverridesParser.create().parse_override(f"++key={experiments._hydra(value)}")
    assert str(override.value()) == str(value)


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
        run_experiments(["two"], None, None, 1, project)


@pytest.fixture
def commit(project, repository, monkeypatch):
    """Make the project a commit whose only stage runs the given script."""
    monkeypatch.setenv("PYTHONPATH", str(repository))

    def commit(script):
        (project / ".dvc/config").write_text("[core]\n    analytics = false\n")
        ignored = "/data/\n/mlflow.db*\n/logs/\n/.dvc/tmp\n/.dvc/cache\n"
        (project / ".gitignore").write_text(ignored)
        (project / "dvc.yaml").write_text(GRAPH)
        (project / "stage.py").write_text(script)
        params = (project / "params.yaml").read_text().partition("\nexperiments:")[0]
        (project / "params.yaml").write_text(params + EXPERIMENTS)
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
            subprocess.run([*git, *words], cwd=project, check=True)

    return commit


@pytest.mark.slow
def test_the_worst_trial_gives_the_exit_code(project, commit, capsys):
    commit(ENDS)
    assert run_experiments(["two"], None, None, 1, project) == 2
    assert run_experiments(["two", "five"], None, None, 2, project) == 3
    assert "killed (signal 9, likely out of memory) (exit code 3)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_group_fills_its_table_and_leaves_the_folder(project, commit, capsys):
    commit(VERDICTS)
    assert run_experiments(["both"], None, None, 2, project) == 0
    told = capsys.readouterr().out
    # 2 and 5 of 10 questions are right; the difference is 30 points at both seeds.
    assert "| Two | 0, 1 | 20.0 " in told
    assert "| Five | 0, 1 | 50.0 " in told
    assert "| Five - Two | 0, 1 | +30.0 " in told
    status = subprocess.run(
        ["git", "status", "--short", "--untracked-files=no"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout == ""
