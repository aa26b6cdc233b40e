"""Released files in miniature, and the real ones where they are at hand."""

import json
import shutil

import pytest

from finer1.data_params import OfficialParams
from finer1.datasets.interface import find_folder, find_reader
from finer1.params import load_params
from finer1.records import ImageRecord, SplitRecord
from finer1.reference.classes import released_classes
from finer1.reference.release import RATIONALES


@pytest.fixture
def reference(repository):
    """Folder with six of the released question files and a third of the rationales."""
    folder = repository.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"no released files at {folder}")
    return folder


@pytest.fixture
def sample(reference, tmp_path):
    """Folder that has the third of the rationales under the name of the whole."""
    folder = tmp_path / "sample"
    folder.mkdir()
    shutil.copyfile(reference / "stage1_cot_sample.json", folder / RATIONALES)
    return folder


@pytest.fixture
def settings(repository):
    """questions: as in params.yaml, of the release."""
    params = load_params(repository / "params.yaml")
    return params.questions.model_copy(update={"source": "released"})


@pytest.fixture
def record():
    """Make a record of an image of which only its place and label matter."""

    def make(image_id, label, official="train"):
        dataset = image_id.split("/")[0]
        return ImageRecord(
            id=image_id,
            dataset=dataset,
            category=dataset,
            label=label,
            group=None,
            sha256="0" * 64,
            phash="0" * 16,
            official=official,
        )

    return make


@pytest.fixture
def place(record):
    """Make a row of the split, of the seen side that the release gives its label."""

    def make(image_id, label, part="test", seen=None):
        image = record(image_id, label, "test" if part == "test" else "train")
        known = released_classes(image.dataset)[label]
        return SplitRecord(image=image, seen=known if seen is None else seen, part=part)

    return make


@pytest.fixture
def real_rows(repository, record):
    """Read the real photographs of a dataset as rows of a released split."""
    root = repository.parent / "shared" / "data" / "real"

    def read(dataset):
        if not root.is_dir():
            pytest.skip(f"no real photographs at {root}")
        reader = find_reader(dataset)
        folder = find_folder(root, reader, dataset)
        listing = reader.read(folder, OfficialParams(source="folder", subset=True))
        return [
            SplitRecord(
                image=record(f"{dataset}/{item.path}", item.label, item.official),
                seen=released_classes(dataset)[item.label],
                part="test" if item.official == "test" else "validation",
            )
            for item in listing.images
        ]

    return read


@pytest.fixture
def write_questions(tmp_path):
    """Write <dataset>_seen.jsonl and _unseen.jsonl of (path, options, truth) into a folder."""

    def write(dataset, seen=(), unseen=()):
        for side, rows in (("seen", seen), ("unseen", unseen)):
            lines = [
                {
                    "image_path": path,
                    "question": f"What kind of {dataset} is this?",
                    "options": options,
                    "ground_truth": truth,
                }
                for path, options, truth in rows
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (tmp_path / f"{dataset}_{side}.jsonl").write_text(text)
        return tmp_path

    return write


@pytest.fixture
def write_rationales(tmp_path):
    """Write a file of rationales of (path, answer), all with the same prose, into a folder."""

    def write(*rows, **changes):
        items = [
            {
                "messages": [
                    {"role": "system", "content": "Think first."},
                    {"role": "user", "content": "<image>Which one is it?"},
                    {
                        "role": "assistant",
                        "content": f"<think>The prediction is: {answer}</think>\n\n"
                        f"<answer>{answer}</answer>",
                    },
                ],
                "images": [path],
            }
            | changes
            for path, answer in rows
        ]
        (tmp_path / RATIONALES).write_text(json.dumps(items))
        return tmp_path

    return write
