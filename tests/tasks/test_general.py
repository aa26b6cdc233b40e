"""The stage `general`: what is missing, what is done, and lmms-eval on data sets in miniature."""

import json

import pytest
from PIL import Image

from finer1.files import write_json
from finer1.general.benchmarks import BENCHMARKS
from finer1.general.harness import find_package
from tasks.general import general

TEXT = "Where does it live?\nA. Sea\nB. Tree\nC. Sand\nD. Ice\nChoose A, B, C, or D."
COMMITS = {"mme": "a" * 40, "mmbench": "b" * 40, "seed": "c" * 40}
"""Different ones: the package datasets knows a folder by its name."""


@pytest.fixture
def make_general(make_context, repository, tmp_path, monkeypatch):
    """A context for the world's base model; the hub's cache is tmp_path/hub, empty at first."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def make(tasks, **changes):
        model = {"base": {"model": str(repository / "models/base/world")}}
        named = {f"general.{key}": value for key, value in changes.items()}
        return make_context(
            "general@base", {"general.models": model, "general.tasks": tasks, **named}
        )

    return make


@pytest.fixture
def wiki(tmp_path):
    """Three questions of ImageWikiQA's form, where the stage looks for them."""
    folder = tmp_path / "data/raw/imagewikiqa"
    folder.mkdir(parents=True)
    Image.new("RGB", (32, 32), "green").save(folder / "1.png")
    rows = [
        {"image": "1.png", "text": TEXT, "label": label, "wiki": "", "classname": "tern"}
        for label in "ABC"
    ]
    (folder / "imagewikiqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def test_a_name_that_is_no_model_is_bad_input(make_general):
    with pytest.raises(ValueError, match=r"general\.models has no tapo; it has base"):
        general(make_general(["mme"]), "tapo")


def test_all_that_is_missing_is_said_at_once(make_general):
    with pytest.raises(ValueError) as caught:
        general(make_general(["mme", "seed", "imagewikiqa"]), "base")
    text = str(caught.value)
    assert "hf download lmms-lab-encoder/MME --repo-type dataset" in text
    assert "hf download lmms-lab-encoder/SEED-Bench" in text
    assert "imagewikiqa holds 0 JSON-lines files" in text


def test_what_is_done_is_not_done_again(make_general, tmp_path):
    context = make_general(["mme"])
    figures = {"n": 2, "perception": 5.0}
    write_json(context.resume / "mme.json", {"figures": figures, "by": "lmms-eval"})
    assert general(context, "base") == {"general/mme/n": 2, "general/mme/perception": 5.0}
    written = json.loads((tmp_path / "data/predictions/general@base.json").read_text())
    assert written["tasks"]["mme"]["figures"] == figures


@pytest.mark.slow
def test_imagewikiqa_is_asked_and_scored(make_general, wiki):
    metrics = general(make_general(["imagewikiqa"], max_tokens=16), "base")
    assert metrics["general/imagewikiqa/n"] == 3
    assert metrics["general/imagewikiqa/low"] <= metrics["general/imagewikiqa/accuracy"]


@pytest.mark.slow
def test_lmms_eval_scores_the_three_benchmarks(make_general, repository, tmp_path, monkeypatch):
    try:
        find_package()
    except ValueError as error:
        pytest.skip(str(error))
    _write_miniatures(tmp_path / "hub")
    monkeypatch.chdir(repository)  # whose params.yaml the model class reads
    metrics = general(make_general(["mme", "mmbench", "seed"], max_tokens=16), "base")
    # The base model knows no such question: nothing is right, and of SEED-Bench's two rows one is
    # about an image.
    assert metrics["general/mme/n"] == 2
    assert metrics["general/mme/perception"] == 0.0
    assert metrics["general/mmbench/n"] == 2
    assert metrics["general/mmbench/accuracy"] == 0.0
    assert metrics["general/seed/n"] == 1
    assert metrics["general/seed/accuracy"] == 0.0
    written = json.loads((tmp_path / "data/predictions/general@base.json").read_text())
    assert written["tasks"]["mme"]["dataset"] == f"lmms-lab-encoder/MME@{COMMITS['mme']}"
    assert written["tasks"]["mme"]["command"].startswith("python -m lmms_eval --model finer1 ")


def _write_miniatures(hub):
    """The three data sets with the real fields, and next to no rows."""
    from datasets import Features, List, Value
    from datasets import Image as Picture

    red, text = Image.new("RGB", (32, 32), "red"), Value("string")
    pairs = (("Is it red?", "Yes"), ("Is it blue?", "No"))
    mme = [
        {"question_id": "color/1", "image": red, "question": q, "answer": a, "category": "color"}
        for q, a in pairs
    ]
    fields = ("question_id", "question", "answer", "category")
    _put(hub, "mme", "data/test", mme, Features(dict.fromkeys(fields, text) | _one(Picture())))
    empty = dict.fromkeys(("hint", "source", "L2-category", "comment", "C", "D"), "nan")
    mmbench = [
        {"index": place, "question": "Which colour?", "answer": "A", "A": "red", "B": "blue"}
        | {"category": "color", "split": "dev", "image": red}
        | empty
        for place in (1, 2)
    ]
    kinds = {name: text for name in mmbench[0] if name not in ("index", "image")}
    features = Features(kinds | {"index": Value("int64")} | _one(Picture()))
    _put(hub, "mmbench", "en/dev", mmbench, features)
    seed = [
        {"question_id": kind, "question": "Which colour?", "answer": "A", "data_type": kind}
        | {"image": [red], "choice_a": "red", "choice_b": "blue", "choice_c": "x", "choice_d": "y"}
        for kind in ("image", "video")
    ]
    kinds = {name: text for name in seed[0] if name != "image"}
    _put(hub, "seed", "data/test", seed, Features(kinds | _one(List(Picture()))))


def _one(kind):
    return {"image": kind}


def _put(hub, name, place, rows, features):
    from datasets import Dataset

    root = hub / f"datasets--{BENCHMARKS[name].dataset.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs/main").write_text(COMMITS[name])
    folder = root / "snapshots" / COMMITS[name]
    path = folder / f"{place}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    Dataset.from_list(rows, features=features).to_parquet(path)
    split = path.name.partition("-")[0]
    config = "en" if place.startswith("en/") else "default"
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        f"- config_name: {config}\n  data_files:\n  - split: {split}\n    path: {place}-*\n---\n"
    )
