import json

import pytest

from finer1.export.audit import audit_rows
from finer1.records import Rationale, write_jsonl

SPLIT = {
    "classes_seen": 42, "classes_unseen": 30, "training_images": 210, "overlap_images": 3,
    "duplicates": 2, "duplicates_trained_and_evaluated": 1, "near_duplicates_test": 4,
    "near_duplicates_validation": 5, "near_duplicates_truncated": 0,
    "near_duplicate_distance": 6, "unseen_seen_elsewhere": 0,
}  # fmt: skip
COUNTS = {
    "split": {f"split/{name}": value for name, value in SPLIT.items()},
    "cot": {"cot/kept": 40, "cot/asked": 42, "cot/samples": 48, "cot/classes": 42,
            "cot/classes_without": 2, "cot/rejected_format": 1, "cot/rejected_leak": 0},
    "review": {"review/accepted": 5, "review/edited": 1, "review/rejected": 2,
               "review/undecided": 32, "review/stand_in": 0},
    "sft": {"sft/rationales_naming_unseen": 33},
}  # fmt: skip


@pytest.fixture
def rows(run_params, tmp_path, monkeypatch):
    """What is said of a run with these counts, by name."""
    monkeypatch.chdir(tmp_path)
    paths = run_params.paths
    paths.metrics.mkdir(parents=True)
    for stage, counts in COUNTS.items():
        (paths.metrics / f"{stage}.json").write_text(json.dumps(counts))
    found = {"kind": "near-duplicate", "level": "warning"}
    world = {"images": 1440, "classes": 72, "unreadable": 0, "findings": [found]}
    paths.audit.write_text(json.dumps({"world": world}))
    row = Rationale("1", "world/1", "bird", "a", "?", "b", ("a",), "c", "a", 1, "oracle")
    write_jsonl(paths.reviewed, [row])
    return lambda has_tapo=True: dict(audit_rows(run_params, has_tapo))


def test_shots_classes_and_duplicates_are_said(rows):
    rows = rows()
    assert rows["sub-categories"] == "42 seen in training, 30 unseen"
    assert rows["shots (images per seen sub-category)"] == "1 for SFT, 4 for TAPO"
    assert rows["equal files with other parts or labels"].startswith("2 pairs, 1 of them trained")
    assert rows["near-duplicates of training images"].startswith(
        "4 pairs with a test and 5 with a validation image"
    )
    assert rows["images trained on"] == "210, 3 of them in SFT and in TAPO"
    assert rows["dataset world"] == (
        "1440 images of 72 sub-categories, 0 unreadable; near-duplicate (warning): 1"
    )


def test_teacher_yield_filters_and_review_are_said(rows):
    rows = rows()
    assert rows["teacher"] == "oracle (1)"
    assert rows["yield"].startswith("40 rationales for 42 images, from 48 samples; 2 of 42")
    assert rows["rejected by filters"] == "format 1"
    assert rows["reviewed"] == "5 accepted, 1 edited, 2 rejected, 32 not looked at"


def test_of_a_model_of_stage_1_nothing_of_stage_2_is_told(rows):
    told = rows(has_tapo=False)
    assert told["shots (images per seen sub-category)"] == "1 for SFT"
    assert not any("TAPO" in f"{name} {words}" for name, words in told.items())
