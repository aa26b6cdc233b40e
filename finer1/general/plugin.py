"""What lmms-eval finds by the entry point `lmms_eval.models` of this project: `--model finer1`."""

from typing import Any

NAME = "finer1"
"""Of the entry point and of the model class that it leads to."""


def manifest() -> Any:
    """The manifest of the model class; read while lmms_eval itself is being imported."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id=NAME, chat_class_path="finer1.general.lmms_model.AskedByFiner1")
