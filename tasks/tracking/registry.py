"""The registered model `finer1`: a version per trained model, and who is candidate and champion.

A version is an MLflow model in `pyfunc` form (recognizer.py beside this file). The weights of a
small model go into it; of a large one it has the path and the hash, so that they are stored once,
by DVC.
"""

import base64
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from finer1.manifest import model_identity
from tasks.tracking.journal import Entry, Journal

MODEL = "finer1"
CANDIDATE, CHAMPION = "candidate", "champion"
WEIGHTS_TAG = "weights"
_ARTIFACT = "model"
_LARGEST_COPY = 64 * 2**20
"""Bytes; weights above it stay where they are."""
_CODE = Path(__file__).with_name("recognizer.py")
_PACKAGE = Path(__file__).parents[2] / "finer1"
_GATE, _ANSWERS = "gate", "answers.json"
_MADE_TAG = "made_ms"
_DESCRIPTION = "Says which sub-category an image shows, and why; see docs/tracking.md."


def journal_model(journal: Journal, folder: Path, asking: Mapping[str, object]) -> None:
    """Record a trained model: a copy of a small one, path and hash of a large one.

    An experiment's folder is a copy that goes: there the path is that of the project.
    """
    home = Path(os.environ.get("FINER1_HOME") or "")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    journal.append(
        "model",
        copy=journal.attach(folder) if size <= _LARGEST_COPY else None,
        path=str((home / folder).absolute()),
        sha256=model_identity(folder),
        asking=dict(asking),
        # An ablation is tried, not meant to be used.
        is_candidate="DVC_EXP_NAME" not in os.environ,
    )


def send_model(client: Any, run: str, folder: Path, entry: Entry) -> None:
    """Register the model as a version of its run, once, and name it candidate if it is newest."""
    found = client.search_model_versions(f"name = '{MODEL}' and run_id = '{run}'")
    version = found[0].version if found else _register(client, run, folder, entry)
    if not entry["is_candidate"]:
        return
    present = find_alias(client, CANDIDATE)
    if present is None or int(present.tags.get(_MADE_TAG, "0")) <= entry["time"]:
        client.set_registered_model_alias(MODEL, CANDIDATE, version)


def find_alias(client: Any, alias: str) -> Any:
    """The version with an alias; None when there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(MODEL, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def find_weights(client: Any, sha256: str) -> Any:
    """The newest version of a model's content; None when it is not registered."""
    found = client.search_model_versions(f"name = '{MODEL}' and tags.{WEIGHTS_TAG} = '{sha256}'")
    return max(found, key=lambda version: int(version.version), default=None)


def make_champion(client: Any, version: Any, answers: Mapping[str, object], why: str) -> None:
    """Give a version the alias, with the answers that the next candidate is compared with."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / _ANSWERS
        file.write_text(json.dumps(answers, sort_keys=True), encoding="utf-8")
        client.log_artifact(version.run_id, str(file), _GATE)
    client.set_model_version_tag(MODEL, version.version, _GATE, why)
    client.set_registered_model_alias(MODEL, CHAMPION, version.version)


def champion_answers(client: Any, version: Any) -> dict[str, Any] | None:
    """What make_champion kept with a version; None when it is not there."""
    if not any(item.path == f"{_GATE}/{_ANSWERS}" for item in _listed(client, version.run_id)):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        file = client.download_artifacts(version.run_id, f"{_GATE}/{_ANSWERS}", scratch)
        return dict(json.loads(Path(file).read_text(encoding="utf-8")))


def save_served(
    target: Path, weights: Path | None, path: str, sha256: str, asking: Mapping[str, Any]
) -> None:
    """Write the model that MLflow serves to the folder `target`.

    weights: what is copied into it; None leaves them at `path`, to be checked against `sha256`.
    """
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    text = DataType.string
    known = list(asking["categories"])
    category = known[0] if len(known) == 1 else ""
    signature = ModelSignature(
        Schema([ColSpec(text, "image"), ColSpec(Array(text), "candidates", required=False)]),
        None,
        ParamSchema([ParamSpec("category", text, category), ParamSpec("votes", "long", 0)]),
    )
    save_model(
        str(target),
        python_model=str(_CODE),
        artifacts={"weights": str(weights)} if weights else None,
        model_config={"path": path, "sha256": sha256, "asking": dict(asking)},
        code_paths=[str(_PACKAGE)],
        signature=signature,
        input_example={"image": drawn_image()},
        pip_requirements=["mlflow", "torch", "transformers", "pillow", "pydantic"],
    )


def drawn_image() -> str:
    """A small picture as base64: the example of what the served model takes."""
    image = Image.new("RGB", (64, 64), (236, 240, 241))
    pen = ImageDraw.Draw(image)
    pen.ellipse((14, 22, 46, 48), fill=(192, 57, 43))
    pen.ellipse((38, 14, 54, 30), fill=(192, 57, 43))
    pen.polygon([(53, 21), (62, 23), (53, 26)], fill=(243, 156, 18))
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _register(client: Any, run: str, folder: Path, entry: Entry) -> str:
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / _ARTIFACT
        copy = folder / entry["copy"] if entry["copy"] else None
        save_served(target, copy, entry["path"], entry["sha256"], entry["asking"])
        client.log_artifacts(run, str(target), _ARTIFACT)
    try:
        client.create_registered_model(MODEL, description=_DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    info = client.get_run(run).info
    made = client.create_model_version(
        MODEL,
        f"{info.artifact_uri}/{_ARTIFACT}",
        run,
        tags={
            WEIGHTS_TAG: entry["sha256"],
            _MADE_TAG: str(entry["time"]),
            "path": entry["path"],
            "weights_are": "in the model" if entry["copy"] else "at the path",
        },
    )
    return str(made.version)


def _listed(client: Any, run: str) -> list[Any]:
    return list(client.list_artifacts(run, _GATE))
