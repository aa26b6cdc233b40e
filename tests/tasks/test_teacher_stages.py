"""The stages from own images to reviewed rationales, one after the other on the same files."""

import csv
import logging
import shutil
from dataclasses import replace

import pytest

from finer1.engines.template import TemplateEngine
from finer1.files import sha256_file
from finer1.records import (
    Concepts,
    Decision,
    Queued,
    Rationale,
    SplitRecord,
    read_jsonl,
    write_jsonl,
)
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
    metrics, params = run(*stages, split__sft_shots=4, cot__min_words=40, cot__ladder=[])
    with params.paths.cot_yield.open() as file:
        lines = list(csv.DictReader(file))
    # 4 images, none of whose 4 samples is long enough
    assert [(line["asked"], line["kept"], line["samples"]) for line in lines] == [
        ("4", "0", "16")
    ] * 2
    assert sum(int(line[reason]) for line in lines for reason in REASONS) == 32
    assert metrics["cot/yield"] == metrics["cot/acceptance"] == 0
    assert len(logged.tables["rejects"]) == 12


def test_yield_is_shown_with_seconds_that_no_file_holds(run, logged):
    metrics, params = run(
        "download", "split", "concepts", "cot", cot__price_per_million_tokens=1000
    )
    table = logged.tables["yield"]
    assert sum(row["tokens"] for row in table) == metrics["cot/tokens"] > 0
    assert metrics["cot/cost"] == metrics["cot/tokens"] / 1000
    assert all(row["seconds in this run"] >= 0 for row in table)
    assert logged.images["yield"].mode == "RGB"
    assert {"speed/seconds", "speed/samples_per_s"} <= set(logged.metrics[0][1])
    assert not any(name.startswith("speed/") for name in metrics)
    assert "seconds" not in params.paths.cot_yield.read_text()


def test_images_that_fail_climb_the_ladder_to_others_of_their_class(run, caplog):
    # No answer has 40 words: 2 + 1 samples of the SFT image, and 2 of another one, which is one
    # of the SFT images that cot.total has not reached.
    ladder = [
        {"attempts": 1, "temperature": 0.5, "image": "same"},
        {"attempts": 2, "temperature": 1.0, "image": "other"},
    ]
    settings = {"cot__min_words": 40, "cot__max_attempts": 2, "cot__ladder": ladder}
    with caplog.at_level(logging.WARNING):
        metrics, params = run(
            "download", "split", "concepts", "cot", split__sft_shots=2, cot__total=2, **settings
        )
    assert (metrics["cot/asked"], metrics["cot/samples"]) == (2, 10)
    assert metrics["cot/lacking"] == 2
    assert "cot.total: 0 of 2 rationales" in caplog.text
    with params.paths.cot_yield.open() as file:
        advice = [line["advice"] for line in csv.DictReader(file)]
    assert advice == ["mostly length: " + advice[0].partition(": ")[2]] * 2
    assert "none is free" in advice[0]


@pytest.mark.parametrize(("total", "shots"), [(3, 2), (4, 2), (2, 4)])
def test_total_is_what_is_kept(run, total, shots):
    _, params = run(
        "download", "split", "concepts", "cot", split__sft_shots=shots, cot__total=total
    )
    rows = read_jsonl(params.paths.rationales, Rationale)
    counts = [sum(row.label == label for row in rows) for label in {row.label for row in rows}]
    # In turn over the two seen classes.
    assert sorted(counts) == [total // 2, total - total // 2]


def test_total_keeps_the_rationales_of_a_smaller_one(run):
    stages = ("download", "split", "concepts", "cot")
    _, params = run(*stages, split__sft_shots=4, cot__total=2)
    first = read_jsonl(params.paths.rationales, Rationale)
    run("cot", split__sft_shots=4, cot__total=5)
    assert read_jsonl(params.paths.rationales, Rationale)[:2] == first


@pytest.mark.parametrize("mode", ["pass", "apply"])
def test_queue_holds_what_fails_on_language_alone_when_review_is_on(run, monkeypatch, mode):
    # Two in two answers are not English: the engine's slip is made certain.
    monkeypatch.setattr("finer1.engines.template.MIXED", 1.0)
    metrics, params = run("download", "split", "concepts", "cot", review__mode=mode, cot__ladder=[])
    rows = read_jsonl(params.paths.queue, Queued)
    assert read_jsonl(params.paths.rationales, Rationale) == []
    assert metrics["cot/queued"] == 2
    assert [row.failed for row in rows] == ([("language",)] * 2 if mode == "apply" else [])


def test_changed_filter_asks_the_teacher_nothing_that_is_known(run, no_generation):
    changes = {"cot__max_attempts": 3, "cot__ladder": []}
    run("download", "split", "concepts", "cot", cot__min_words=40, **changes)
    no_generation()
    metrics, _ = run("cot", **changes)
    assert metrics["cot/kept"] == 2


def test_killed_stage_generates_nothing_twice(run, monkeypatch):
    stages, changes = ("download", "split", "concepts"), {"split__sft_shots": 4}
    run(*stages, **changes)
    generate, made = TemplateEngine.generate, []

    def die_after_five(self, requests, sampling):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.extend(requests)
        return generate(self, requests, sampling)

    changes |= {"runtime__batch_size": 1}
    with monkeypatch.context() as patch:
        patch.setattr(TemplateEngine, "generate", die_after_five)
        with pytest.raises(KeyboardInterrupt):
            run("cot", **changes)
    before = len(made)
    with monkeypatch.context() as patch:
        patch.setattr(
            TemplateEngine,
            "generate",
            lambda self, requests, sampling: (
                made.extend(requests) or generate(self, requests, sampling)
            ),
        )
        metrics, _ = run("cot", **changes)
    assert (before, len(made)) == (5, metrics["cot/samples"])
    assert len({request.seed for request in made}) == len(made)


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


def test_without_filters_the_faults_are_counted_and_nothing_is_drawn_twice(run):
    stages = ("download", "split", "concepts", "cot", "review")
    metrics, _ = run(*stages[:4], split__sft_shots=4, cot__filter=False)
    assert metrics["cot/kept"] == metrics["cot/samples"] == metrics["cot/asked"] == 8
    counted = sum(metrics[f"cot/faulty_{reason}"] for reason in REASONS)
    assert counted == metrics["cot/faulty"]
    assert sum(metrics[f"cot/rejected_{reason}"] for reason in REASONS) == 0
    # With filters the same first samples are drawn, and those with a fault are drawn again.
    filtered, _ = run("cot", split__sft_shots=4)
    assert filtered["cot/samples"] >= 8 + metrics["cot/faulty"]
    assert "cot/faulty" not in filtered


def test_a_teacher_without_concepts_is_not_told_of_any(run, monkeypatch):
    asked, generate = [], TemplateEngine.generate
    monkeypatch.setattr(
        TemplateEngine, "generate", lambda *all: asked.extend(all[1]) or generate(*all)
    )
    run("download", "split", "concepts", "cot", cot__show_concepts=False)
    prompts = [request.user for request in asked if "Question:" in request.user]
    assert len(prompts) >= 2
    assert not any("oncepts" in prompt for prompt in prompts)


@pytest.mark.parametrize(("per_class", "rows"), [(1, 2), (2, 4), (3, 6)])
def test_rationales_per_class_leave_tapo_its_images(run, per_class, rows):
    metrics, params = run(
        *("download", "split", "concepts", "cot"), split__sft_shots=3, cot__per_class=per_class
    )
    assert metrics["cot/asked"] == metrics["cot/kept"] == rows
    parts = [row.part for row in read_jsonl(params.paths.splits, SplitRecord)]
    assert (parts.count("sft"), parts.count("tapo")) == (6, 8)
