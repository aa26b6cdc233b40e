"""From the split to TAPO where every sub-category has one training image, used by both stages."""

import hashlib
import io
from collections import Counter

import pytest
from PIL import Image

from finer1.images import write_archive
from finer1.records import (
    Concepts,
    ImageRecord,
    Rationale,
    SplitRecord,
    Triplet,
    read_jsonl,
    write_jsonl,
)
from tasks.concepts import concepts
from tasks.cot import cot
from tasks.questions import questions
from tasks.review import review
from tasks.sft import train as sft
from tasks.split import split
from tasks.tapo import train as tapo
from tasks.triplets import mine as triplets

CLASSES = 4
BODIES = (split, concepts, cot, review, sft, triplets, questions, tapo)


def write_images(paths):
    """One training and two test images of each sub-category."""
    records, members = [], []
    for label in range(CLASSES):
        for number in range(3):
            buffer = io.BytesIO()
            ramp = Image.linear_gradient("L").resize((32, 32)).rotate(90 * label)
            Image.merge("RGB", (ramp, ramp.point(lambda v, n=number: v // (n + 1)), ramp)).save(
                buffer, "PNG"
            )
            members.append((f"{label}/{number}.png", buffer.getvalue()))
            records.append(
                ImageRecord(
                    id=f"own/{label}/{number}.png",
                    dataset="own",
                    category="beetle",
                    label=f"{['golden', 'green', 'black', 'violet'][label]} dor",
                    group=None,
                    sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
                    phash=f"{label * 0x1111:04x}{number:012x}",
                    official="test" if number else "train",
                )
            )
    write_archive(paths.images / "own.zip", members)
    write_jsonl(paths.index, records)


@pytest.fixture
def run(make_context, tiny_model, caplog):
    """All stages; returns their metrics, the paths, and what was logged."""
    changes = {
        "paths.base": str(tiny_model),
        "download.datasets": ["own"],
        "split.overlap": True,
        "split.tapo_shots": 1,
        "concepts.engine": "template",
        "concepts.captions_per_instruction": 2,
        "cot.engine": "template",
        "tapo.steps": 1,
        "tapo.prompts_per_step": 2,
        "tapo.keep_when_all_degenerate": True,
        "tapo.max_resamples": 0,
        "tapo.max_completion_tokens": 5,
    }
    write_images(make_context("split", changes).params.paths)
    metrics = {}
    for body in BODIES:
        context = make_context(body.__name__, changes)
        metrics[body] = body(context)
    return metrics, context.params.paths, caplog.text


@pytest.mark.slow
def test_one_image_serves_both_stages(run):
    metrics, paths, logged = run
    rows = read_jsonl(paths.splits, SplitRecord)
    # Two of four sub-categories are seen; their one image has two rows.
    both = [name for name, count in Counter(row.image.id for row in rows).items() if count == 2]
    assert len(both) == metrics[split]["split/overlap_images"] == 2
    described = [row.image_id for row in read_jsonl(paths.concepts, Concepts)]
    explained = [row.image_id for row in read_jsonl(paths.reviewed, Rationale)]
    assert sorted(described) == sorted(explained) == sorted(both)  # each once
    assert metrics[cot]["cot/asked"] == metrics[sft]["sft/images"] == 2
    mined = read_jsonl(paths.triplets, Triplet)
    assert [row.positives for row in mined] == [(row.anchor,) for row in mined]
    assert metrics[triplets]["triplets/positives_augmented"] == 2
    assert "in 2 of 2 triplets the positive is an augmentation of the anchor" in logged
    # Two test images of each of four sub-categories.
    assert metrics[questions]["questions/count"] == 2 * 2 * CLASSES
