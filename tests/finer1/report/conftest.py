"""A fabricated run in a folder: four classes, three models, every file that the page reads."""

import io
import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from finer1.evaluation.metrics import score_models
from finer1.evaluation.questions import build_questions
from finer1.evaluation.similarity import answer_similarities, load_similarity
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.taxonomy import group_taxonomy
from finer1.evaluation.verdicts import MODELS, judge_model
from finer1.evaluation_params import ModelEntry
from finer1.files import write_json
from finer1.images import write_archive
from finer1.params import load_params
from finer1.prompts import answer_completion, rationale_completion, sections_text
from finer1.records import (
    Concepts,
    ImageRecord,
    Prediction,
    Rationale,
    SplitRecord,
    Triplet,
    write_jsonl,
)
from finer1.teacher.yields import ClassYield, write_yields

HOSTILE = "<script>alert(1)</script>"
LABELS = (HOSTILE, "elm wren", "oak wren", "reed tern")
PARTS = ("sft", "tapo", "tapo", "test", "test")


@pytest.fixture(scope="session")
def make_run(repository, tmp_path_factory):
    """Write a run, perhaps with models besides its own; returns its params.

    teacher: identity of who wrote the rationales.
    """

    def make(teacher="oracle-1", has_further=False):
        folder = tmp_path_factory.mktemp("run")
        params = load_params(repository / "params.yaml")
        if has_further:
            params = _with_further(params, folder)
        paths = {
            name: folder / getattr(params.paths, name) for name in type(params.paths).model_fields
        }
        params = params.model_copy(update={"paths": params.paths.model_copy(update=paths)})
        rows = _splits(params.paths.images)
        write_jsonl(params.paths.splits, rows)
        write_json(params.paths.audit, AUDIT)
        _write_evaluation(params, rows)
        _write_training(params, rows, teacher)
        _write_recorded(params)
        return params

    return make


@pytest.fixture(scope="session")
def params(make_run):
    """Params of one fabricated run."""
    return make_run()


@pytest.fixture(scope="session")
def further(make_run):
    """Params of one with `direct`, a folder, and `clip_l`, an entry of the zoo that is titled."""
    return make_run(has_further=True)


@pytest.fixture(scope="session")
def metrics(params):
    """Metrics of that run."""
    return json.loads((params.paths.metrics / "score.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def with_titles(tmp_path_factory):
    """Give params further models, name -> title of its entry in the zoo."""

    def make(params, titles):
        folder = tmp_path_factory.mktemp("zoo")
        return _with_models(params, {name: _enter(folder, title) for name, title in titles.items()})

    return make


ENTRY = """
title: {title}
kind: clip
model: open_clip:ViT-L-14-336:openai
commit: null
adapter: null
prompts: null
answer_from: tags
tried: {{open_clip: nothing}}
notes: ""
"""


AUDIT = {
    "w": {
        "images": 20,
        "classes": 5,
        "sides": {"test": 20},
        "unreadable": 0,
        "notes": ["w is a part of the official dataset"],
        "findings": [
            {
                "level": "warning",
                "kind": "near-duplicate",
                "where": "w",
                "what": f"a {HOSTILE} b",
                "remedy": "look",
            }
        ]
        * 6,
    }
}


def _with_further(params, folder):
    direct = ModelEntry(model="models/base/world", strategy="direct", max_tokens=None)
    return _with_models(params, {"direct": direct, "clip_l": _enter(folder, "CLIP-L")})


def _with_models(params, models):
    predict = params.predict.model_copy(update={"models": models})
    return params.model_copy(update={"predict": predict})


def _enter(folder, title):
    path = folder / f"{title}.yaml"
    path.write_text(ENTRY.format(title=title), encoding="utf-8")
    return ModelEntry(model=str(path), strategy="direct", max_tokens=None)


def _splits(archive):
    rows, members = [], []
    for place, label in enumerate(LABELS):
        for number, part in enumerate(PARTS):
            buffer = io.BytesIO()
            Image.new("RGB", (16, 16), (60 * place, 40 * number, 90)).save(buffer, "PNG")
            member = f"{place}/{number}.png"
            members.append((member, buffer.getvalue()))
            record = ImageRecord(
                f"w/{member}", "w", "bird", label, None, "0" * 64, "0" * 16, "test"
            )
            rows.append(SplitRecord(record, seen=place < 3, part=part))
    write_archive(archive / "w.zip", members)
    return rows


def _write_evaluation(params, rows):
    questions = build_questions(rows, params.questions, params.seed)
    write_jsonl(params.paths.questions, questions)
    similarity = load_similarity("char_ngrams", params.paths.images, "cpu")
    verdicts = {}
    for model in (*MODELS, *params.predict.models):
        predictions = [_predict(model, question) for question in questions]
        predictions = [row for row in predictions if row is not None]
        write_jsonl(params.paths.predictions / f"{model}.jsonl", predictions)
        found = answer_similarities(questions, predictions, similarity)
        verdicts[model] = judge_model(questions, predictions, model, found, model == "clip_l")
    write_jsonl(params.paths.verdicts, [row for rows in verdicts.values() for row in rows])
    params.paths.taxonomy.write_text("family,label\n", encoding="utf-8")
    groups = group_taxonomy([replace(row.image, group="wrens") for row in rows])
    metrics = score_models(verdicts, Bootstrap(200, 0.95, 0), groups)
    write_json(params.paths.metrics / "score.json", {"confidence": 0.95, **metrics})


def _predict(model, question):
    """clip_l chooses the first of the options, and answers no open question."""
    if model == "clip_l":
        if question.setting == "open":
            return None
        text = answer_completion(question.options[0])
        return Prediction(question.id, model, "clip-hash", "a {}", text, 0, "stop", "zero_shot")
    votes = ("<answer>elm wren</answer>",) * 3 if model == "tapo" else ()
    return Prediction(
        question.id, model, f"{model}-hash", question.text, _complete(model, question), 9, "stop",
        votes=votes,
    )  # fmt: skip


def _complete(model, question):
    """base and direct write no tag, sft always the same name, tapo the truth."""
    if model in ("base", "direct"):
        return f"a {HOSTILE} bird"
    answer = "elm wren" if model == "sft" else question.label
    sections = sections_text(f"small {HOSTILE}", LABELS, "alike", answer)
    return rationale_completion(sections, answer)


def _write_training(params, rows, teacher):
    paths = params.paths
    sft = [row.image for row in rows if row.part == "sft" and row.seen]
    write_jsonl(
        paths.reviewed,
        [
            Rationale(f"r/{i.id}", i.id, "bird", i.label, "?", "a", (i.label,), "c", i.label, 1,
                      teacher)
            for i in sft
        ],
    )  # fmt: skip
    write_jsonl(
        paths.concepts,
        [Concepts(i.id, i.label, ("a bird",), ("red crown", HOSTILE), (1.5, 0.5)) for i in sft],
    )
    yields = {
        ("w", "bird", i.label): ClassYield(1, 1, 0, 2, 90, 0, Counter({1: 1}), Counter(format=1))
        for i in sft
    }
    yields["w", "bird", HOSTILE] = ClassYield(
        1, samples=6, tokens=60, rejected=Counter(length=6), advice=f"look at {HOSTILE}"
    )
    write_yields(paths.cot_yield, yields, 3, ("format", "length", "leak"))
    write_jsonl(
        paths.triplets,
        [
            Triplet("w/1/1.png", "elm wren", "bird", ("w/1/2.png",), "oak wren", ("w/2/1.png",),
                    0.9, "base_model", "0" * 64)
        ],
    )  # fmt: skip
    paths.logs.mkdir(parents=True)
    Image.new("RGB", (60, 40), (1, 2, 3)).save(paths.logs / "triplets.jpg")
    log = [{"step": step, "metrics": {"loss": 2 / step, HOSTILE: step}} for step in (1, 2, 3)]
    text = "".join(json.dumps(line) + "\n" for line in log)
    (paths.logs / "sft.jsonl").write_text(text, encoding="utf-8")


def _write_recorded(params):
    """What split, triplets, review, sft and tapo recorded, as far as the page tells it."""
    counts = {"training_images": 9, "evaluation_images": 8, "checked_images": 17}
    counts |= {"overlap_images": 0, "overlap_classes": 0, "unseen_seen_elsewhere": 0}
    counts |= {"checked_classes": 4, "near_duplicates_truncated": 0}
    counts |= {"duplicates": 0, "duplicates_trained_and_evaluated": 0, "sft_released": 2}
    counts |= {"near_duplicate_distance": 6, "near_duplicates_test": 3}
    counts |= {"near_duplicates_validation": 0}
    folder = params.paths.metrics
    write_json(folder / "split.json", {f"split/{name}": n for name, n in counts.items()})
    write_json(folder / "review.json", {"review/rationales": 2})
    write_json(folder / "sft.json", {"train/steps": 3})
    write_json(folder / "tapo.json", {"train/steps": 3})
    mined = {"triplets/anchors": 1, "triplets/classes": 1, "triplets/positives_augmented": 0}
    write_json(folder / "triplets.json", mined)


@pytest.fixture(scope="session")
def cells():
    """Shorthand for the four settings."""
    return SimpleNamespace(hostile=HOSTILE, labels=LABELS)
