"""Rationales about four drawn birds in an archive, one of them waiting in the queue."""

import io
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from finer1.images import ImageArchive, write_archive
from finer1.params import load_params
from finer1.records import (
    Concepts,
    ImageRecord,
    Queued,
    Rationale,
    SplitRecord,
    write_jsonl,
)
from finer1.review.desk import Desk
from finer1.review.items import read_items
from finer1.review.view import View
from finer1.teacher.yields import ClassYield, write_yields

LABELS = ("elm wren", "oak wren")
PARTS = ("sft", "tapo", "tapo", "validation", "test")


def rationale(label, number=0, **changes):
    """A rationale about an image of `label` that any filter would pass."""
    image_id = f"w/{label}/{number}.png"
    row = Rationale(
        id=f"cot/{image_id}",
        image_id=image_id,
        category="bird",
        label=label,
        question="What bird is this?",
        analysis=f"{label} {number}: a red crown",
        options=LABELS,
        comparison="The elm wren has a red crown, the oak wren a blue one.",
        prediction=label,
        attempts=1,
        engine="test",
    )
    return replace(row, **changes)


@pytest.fixture
def make_desk(repository, tmp_path):
    """A desk over files in tmp_path, for given rationales, queue and yields."""
    params = load_params(repository / "params.yaml")
    paths = params.paths.model_copy(update={name: tmp_path / path for name, path in params.paths})

    def make(rationales=None, queued=(), yields=None, per_class=None, reviewer="me", seen=None):
        rows = [rationale(label) for label in LABELS] if rationales is None else rationales
        labels = dict.fromkeys([*LABELS, *(row.label for row in rows)])
        _write_images(paths, labels)
        write_jsonl(paths.rationales, rows)
        write_jsonl(paths.queue, [Queued(row, ("language",)) for row in queued])
        write_jsonl(
            paths.concepts,
            [
                Concepts(row.image_id, row.label, (), ("red crown",), (1.0,))
                for row in (rows if seen is None else seen)
            ],
        )
        kept = Counter(("w", row.category, row.label) for row in rows)
        default = {key: ClassYield(asked=1, kept=1, samples=1) for key in kept}
        write_yields(paths.cot_yield, yields or default, 1, ())
        items = read_items(paths, per_class)
        desk = Desk(items, paths.decisions, reviewer, 4, now=lambda: "2026-01-01T00:00:00Z")
        view = View(desk, ImageArchive(paths.images))
        return SimpleNamespace(desk=desk, view=view, items=items, paths=paths)

    return make


def _write_images(paths, labels):
    splits, members = [], []
    for place, label in enumerate(labels):
        for number, part in enumerate(PARTS):
            buffer = io.BytesIO()
            Image.new("RGB", (16, 16), (60 * place, 40 * number, 90)).save(buffer, "PNG")
            member = f"{label}/{number}.png"
            members.append((member, buffer.getvalue()))
            record = ImageRecord(
                f"w/{member}", "w", "bird", label, None, "0" * 64, "0" * 16, "train"
            )
            splits.append(SplitRecord(record, seen=True, part=part))
    write_archive(paths.images / "w.zip", members)
    write_jsonl(paths.splits, splits)
