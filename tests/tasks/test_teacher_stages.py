"""The stages from own images to reviewed rationales, one after the other on the same files."""

import csv
import logging
import shutil
from dataclasses import replace

import pytest

from finer1.engines.template import TemplateEngine
from finer1.files import sha256_file
from finer1.records import Concepts, Decision, Rationale, SplitRecord, read_jsonl, write_jsonl
from finer1.teacher.decisions import rationale_hash
from finer1.teacher.filters import REASONS
from tasks.concepts import concepts
from tasks.cot import cot
from tasks.download import download
from tasks.review import review
from tasks.split import split


@pytest.fixture
def run(make_context, own_images):
    """Run stages by name with further changes; returns the last metrics and the params."""
    changes = own_images[1]
    bodies = {f.__name__: f for f in (download, split, concepts, cot, review)}

    def run(*stages, **more):
        named = {key.replace("__", "."): value for key, value in more.items()}
        metrics = {}
        for stage in stages:
            context = make_context(stage, changes | named)
            metrics = bodies[stage](context)
        return metrics, context.params

    return run


@pytest.fixture
def no_generation(monkeypatch):
    """Call it, and from then on the engine must not be asked."""

    def forbid():
        def refuse(*_):
            raise AssertionError("the engine was asked")

        monkeypatch.setattr(TemplateEngine, "generate", refuse)

    return forbid


def test_split_counts_classes_and_images(run):
    metrics, _ = run("download", "split")
    # floor(0.6 x 4) = 2 seen with 8 training images each: 1 + 4 shots, 3 left; unseen 8 left
    expected = {
        "split/classes_seen": 2,
        "split/classes_unseen": 2,
        "split/sft": 2,
        "split/tapo": 8,
        "split/validation_seen": 6,
        "split/validation_unseen": 16,
        "split/test_seen": 4,
        "split/test_unseen": 4,
        "split/unused": 0,
        "split/duplicates": 0,
        "split/training_images": 10,
        "split/evaluation_images": 30,
    }
    assert {name: metrics[name] for name in expected} == expected


def test_too_many_shots_are_refused_with_the_setting(run):
    run("download")
    with pytest.raises(ValueError, match=r"has 8 training images and needs 10 \(split.sft_shots 6"):
        run("split", split__sft_shots=6)


def test_each_sft_image_gets_captions_and_concepts(run):
    metrics, params = run("download", "split", "concepts")
    rows = read_jsonl(params.paths.concepts, Concepts)
    # 3 instructions x 2 samples
    assert [len(row.captions) for row in rows] == [6, 6]
    assert metrics["concepts/captions"] == 12
    assert all(len(row.concepts) >= 3 for row in rows)
    assert all(list(row.scores) == sorted(row.scores, reverse=True) for row in rows)


def test_changed_selection_asks_the_teacher_nothing(run, no_generation):
    run("download", "split", "concepts")
    no_generation()
    metrics, _ = run("concepts", concepts__min_concepts=6)
    assert metrics["concepts/per_image_min"] == 6


def test_every_seen_class_gets_a_rationale(run):
    metrics, params = run("download", "split", "concepts", "cot")
    rows = read_jsonl(params.paths.rationales, Rationale)
    seen = {r.image.label for r in read_jsonl(params.paths.splits, SplitRecord) if r.seen}
    assert {row.label for row in rows} == seen
    assert metrics["cot/classes_without"] == 0
    assert all(row.engine.startswith("template") for row in rows)


def test_yield_has_a_line_per_class_with_the_reasons(run, logged):
    stages = ("download", "split", "concepts", "cot")
    metrics, params = run(*stages, split__sft_shots=4, cot__min_words=40)
    with params.paths.cot_yield.open() as file:
        lines = list(csv.DictReader(file))
    # 4 images, none of whose 4 samples is long enough
    assert [(line["asked"], line["kept"], line["samples"]) for line in lines] == [
        ("4", "0", "16")
    ] * 2
    assert sum(int(line[reason]) for line in lines for reason in REASONS) == 32
    assert metrics["cot/yield"] == metrics["cot/acceptance"] == 0
    assert len(logged.tables["rejects"]) == 12


def test_changed_filter_asks_the_teacher_nothing_that_is_known(run, no_generation):
    run("download", "split", "concepts", "cot", cot__min_words=40, cot__max_attempts=3)
    no_generation()
    metrics, _ = run("cot", cot__max_attempts=3)
    assert metrics["cot/kept"] == 2


def test_class_without_a_rationale_is_named_in_the_log(run, caplog):
    with caplog.at_level(logging.WARNING):
        metrics, _ = run("download", "split", "concepts", "cot", cot__min_words=40)
    assert metrics["cot/classes_without"] == 2
    assert metrics["cot/rejected_length"] > 0
    assert "2 of 2 seen sub-categories have no rationale: " in caplog.text


def test_same_seed_gives_the_same_bytes(run, tmp_path):
    stages = ("split", "concepts", "cot")
    _, params = run("download", *stages)
    outputs = (params.paths.splits, params.paths.concepts, params.paths.rationales)
    before = [sha256_file(path) for path in outputs]
    shutil.rmtree(tmp_path / "store")
    run(*stages)
    assert [sha256_file(path) for path in outputs] == before


def test_review_that_is_off_passes_everything(run):
    metrics, params = run("download", "split", "concepts", "cot", "review")
    assert params.paths.reviewed.read_bytes() == params.paths.rationales.read_bytes()
    assert metrics["review/kept"] == metrics["review/rationales"] == 2


def test_review_applies_the_decisions_and_reports_stale_ones(run, caplog):
    _, params = run("download", "split", "concepts", "cot")
    first, second = read_jsonl(params.paths.rationales, Rationale)
    good, stale = (
        Decision(row.id, rationale_hash(judged), "reject", "me", "2026-01-01T00:00:00Z")
        for row, judged in ((first, first), (second, replace(second, analysis="old")))
    )
    write_jsonl(params.paths.decisions, [good, stale])
    metrics, _ = run("review", review__mode="apply")
    assert read_jsonl(params.paths.reviewed, Rationale) == [second]
    assert (metrics["review/rejected"], metrics["review/stale"]) == (1, 1)
    assert f"the first is on {second.id}" in caplog.text


def test_broken_decision_is_named_with_its_line(run):
    _, params = run("download", "split", "concepts", "cot")
    params.paths.decisions.write_text('{"id": "x"}\n')
    with pytest.raises(ValueError, match=r"decisions.jsonl:1: "):
        run("review", review__mode="apply")
