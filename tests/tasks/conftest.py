"""A context for stage bodies, outside any tracked run, and images to run them on."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from finer1.files import sha256_folder
from finer1.params import check_params, load_params
from tasks.stage import Context
from tasks.tracking import prepare_store


@dataclass
class Logged:
    """What a body logged."""

    tables: dict = field(default_factory=dict)
    images: dict = field(default_factory=dict)
    metrics: list = field(default_factory=list)
    files: list = field(default_factory=list)


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
            server=None,
            api_key=None,
            vllm_server=None,
            log=lambda metrics, step: logged.metrics.append((step, dict(metrics))),
            log_table=lambda name, rows: logged.tables.update({name: list(rows)}),
            log_image=lambda name, image, step: logged.images.update({name: image}),
            log_file=lambda path: logged.files.append(Path(path)),
            is_live=False,
        )

    return make


@pytest.fixture
def own_images(tmp_path):
    """A folder of four sub-categories of ten drawn images each, and the changes that read it."""
    root = tmp_path / "beetle"
    for place, name in enumerate(("golden_tiger", "green_tiger", "black_dor", "violet_dor")):
        for number in range(10):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (24, 20), (place * 60, number * 20, 99)).save(path)
    (root / "category.txt").write_text("beetle\n")
    changes = {
        "download.dataset": "folder",
        "download.content": sha256_folder(root),
        "concepts.engine": "template",
        "concepts.captions_per_instruction": 2,
        "cot.engine": "template",
    }
    return root, changes
