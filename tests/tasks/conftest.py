"""A context for stage bodies, outside any tracked run, and images to run them on."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finer1.datasets.interface import ListedImage
from finer1.files import sha256_file, sha256_folder
from finer1.own.dataset import Addition, OwnDataset, write_dataset
from finer1.params import check_params, load_params
from finer1.progress import Progress
from tasks.concepts import concepts
from tasks.cot import cot
from tasks.download import download
from tasks.review import review
from tasks.split import split
from tasks.stage import Context
from tasks.tracking import prepare_store
from tests.tasks.stage_folder import StageFolder


@dataclass
class Logged:
    """What a body logged."""

    tables: dict = field(default_factory=dict)
    images: dict = field(default_factory=dict)
    metrics: list = field(default_factory=list)
    files: list = field(default_factory=list)
    models: list = field(default_factory=list)


@pytest.fixture(scope="session")
def tracking_store(tmp_path_factory):
    """A folder with a tracking store; making one takes seconds, so all tests share or copy it."""
    root = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepare_store(root)
    return root


@pytest.fixture
def logged():
    """Collects what bodies log through `make_context`."""
    return Logged()


@pytest.fixture
def make_context(repository, tmp_path, logged):
    """Build a Context over tmp_path from params.yaml and dotted changes."""

    def make(stage, changes=None, data_root=None):
        values = load_params(repository / "params.yaml").model_dump(mode="json")
        values["paths"] = {name: str(tmp_path / path) for name, path in values["paths"].items()}
        for key, value in (changes or {}).items():
            *parents, last = key.split(".")
            section = values
            for name in parents:
                section = section[name]
            section[last] = value
        return Context(
            params=check_params(values, "test"),
            stage=stage,
            resume=tmp_path / "resume",
            store=tmp_path / "store",
            data_root=data_root,
            home=tmp_path,
            server=None,
            api_key=None,
            eval_server=None,
            eval_key=None,
            vllm_server=None,
            log=lambda metrics, step: logged.metrics.append((step, dict(metrics))),
            log_table=lambda name, rows: logged.tables.update({name: list(rows)}),
            log_image=lambda name, image, step: logged.images.update({name: image}),
            log_file=lambda path: logged.files.append(Path(path)),
            log_model=lambda folder, asking: logged.models.append((folder, dict(asking))),
            is_live=False,
        )

    return make


@pytest.fixture
def make_folder(repository, make_context, own_images, tiny_model, tracking_store, tmp_path):
    """Makes tmp_path a StageFolder after the stages up to `review`, on own images and a tiny model.

    With further changes of params.yaml, and those that hold from then on alone.
    """

    def make(changes=None, later=None):
        changes = own_images[1] | {"paths.base": str(tiny_model)} | (changes or {})
        for body in (download, split, concepts, cot, review):
            body(make_context(body.__name__, changes))
        values = make_context("sft", changes | (later or {})).params.model_dump(mode="json")
        return StageFolder(tmp_path, repository, tracking_store, values)

    return make


@pytest.fixture
def any_release(monkeypatch):
    """Takes whatever lies in paths.released for the release."""
    monkeypatch.setattr("finer1.released.files.released_files", lambda: ())


@pytest.fixture
def content_of():
    """What download.content is for a dataset of one's own in a folder."""

    def content_of(folder):
        line = f"{folder.name} {sha256_folder(folder)}\n"
        return hashlib.sha256(line.encode()).hexdigest()

    return content_of


@pytest.fixture
def own_images(tmp_path, content_of):
    """A dataset of one's own, four sub-categories of ten drawn images each, two for the test.

    Returns its folder and the changes that read it.
    """
    source, additions = tmp_path / "photos", []
    for place, label in enumerate(("golden tiger", "green tiger", "black dor", "violet dor")):
        noise = np.random.default_rng(place)
        for number in range(10):
            path = source / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
            side = "test" if number < 2 else "train"
            name = f"{label}/{number}.png"
            image = ListedImage(name, "beetle", label, None, side, path, str(path))
            additions.append(Addition(image, sha256_file(path)))
    folder = tmp_path / "data/own/beetles"
    about = OwnDataset("beetle", "photos")
    write_dataset(folder, about, additions, False, Progress("add", len(additions), "images"))
    changes = {
        "download.datasets": ["beetles"],
        "download.content": content_of(folder),
        "concepts.engine": "template",
        "concepts.captions_per_instruction": 2,
        "cot.engine": "template",
    }
    return folder, changes
