"""The gate over the files of a run and a real registry, whose versions hold no weights."""

import shutil
import time

import pytest
import typer
import yaml

from finer1.manifest import model_identity, write_manifest
from finer1.params import load_params
from finer1.prompts import answer_completion
from finer1.records import Prediction, Question, write_jsonl
from flows import promoting
from flows.promoting import promote_after_run, promote_candidate
from tasks.tracking import open_store, prepare_store
from tasks.tracking.registry import CHAMPION, MODEL, WEIGHTS_TAG, find_alias
from tests.tasks.tracking.faulty_server import faulty_server

pytestmark = pytest.mark.slow
LABELS = ("ash wren", "elm wren", "oak wren", "reed tern")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A folder with a tracking store."""
    root = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepare_store(root)
    return root


@pytest.fixture
def project(repository, tmp_path, empty_store, monkeypatch):
    """A folder in which a model was trained, registered, and beat the base in every class."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(repository / name, tmp_path)
    shutil.copy(empty_store / "mlflow.db", tmp_path)
    train(tmp_path, "first")
    answer(tmp_path, {"base": "nothing", "tapo": None})
    return tmp_path


def train(root, content):
    """Other weights, registered."""
    folder = root / load_params(root / "params.yaml").paths.tapo
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(content)
    write_manifest(folder)  # as training does
    client, experiment = open_store(root)
    run = client.create_run(experiment, run_name="tapo").info.run_id
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(MODEL)
    client.create_model_version(MODEL, str(folder), run, tags={WEIGHTS_TAG: model_identity(folder)})


def answer(root, given):
    """Predictions and verdicts; given: model -> what it answers, None for the truth."""
    from finer1.evaluation.verdicts import judge_model

    paths = load_params(root / "params.yaml").paths
    questions = [
        Question(f"open/w/{label}", f"w/{label}", "bird", label, seen, "open", "?", (), "open")
        for label, seen in zip(LABELS, (True, True, False, False), strict=True)
    ]
    identity = f"transformers:float32:{model_identity(root / paths.tapo)}"
    verdicts = []
    for model, text in given.items():
        rows = [
            Prediction(q.id, model, identity, "?", answer_completion(text or q.label), 3, "stop")
            for q in questions
        ]
        write_jsonl(root / paths.predictions / f"{model}.jsonl", rows)
        verdicts += judge_model(questions, rows, "test")
    write_jsonl(root / paths.verdicts, verdicts)


def test_the_first_one_that_beats_the_base_is_champion(project):
    found = promote_candidate(project)
    assert found.is_champion
    assert found.sentence == (
        "version 1 of finer1 - base, open accuracy: +100.0 [+100.0, +100.0] points on 4 "
        "questions; is champion now"
    )
    assert promote_candidate(project).sentence == "version 1 of finer1 is champion"


def test_the_next_one_must_beat_the_champion(project):
    promote_candidate(project)
    train(project, "second")
    answer(project, {"base": "nothing", "tapo": None})
    found = promote_candidate(project)
    assert not found.is_champion
    assert "- champion (version 1), open accuracy: +0.0 [+0.0, +0.0]" in found.sentence
    client, _ = open_store(project)
    assert find_alias(client, CHAMPION).version in ("1", 1)


def test_one_that_is_no_better_than_the_base_stays_candidate(project):
    answer(project, {"base": None, "tapo": None})
    assert promote_candidate(project).sentence.endswith("stays candidate")


def test_answers_of_other_weights_are_no_reason(project):
    train(project, "second")
    with pytest.raises(ValueError, match="is of other weights; run the stages again"):
        promote_candidate(project)
    told = promote_after_run(project)
    assert told.startswith("left as it is: ")
    assert "is of other weights; run the stages again" in told


def test_a_model_without_answers_is_named(project):
    (project / load_params(project / "params.yaml").paths.predictions / "tapo.jsonl").unlink()
    with pytest.raises(ValueError, match=r"tapo\.jsonl is missing; run the stages first"):
        promote_candidate(project)


def test_weights_that_take_long_to_read_are_promoted_all_the_same(project, monkeypatch):
    def read_slowly(folder):
        time.sleep(1.0)
        return model_identity(folder)

    promote_candidate(project)  # what is imported is imported
    monkeypatch.setattr("finer1.manifest.model_identity", read_slowly)
    monkeypatch.setattr(promoting, "_PATIENCE_S", 0.9)
    assert promote_after_run(project) == "version 1 of finer1 is champion"


def test_a_registry_that_is_away_is_named(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    with faulty_server("refuses") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(typer.Exit) as ended:
            promoting.promote()
        assert promote_after_run(project).endswith("; later: finer1 promote")
    assert ended.value.exit_code == 3
    assert capsys.readouterr().out.startswith("MLflow does not answer: ")


def test_the_gain_that_is_wanted_is_a_setting(project):
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["comparison"]["gate"] = 1.0
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    assert not promote_candidate(project).is_champion
