"""Generation by a running vLLM server, which is handed the weights of the model folder."""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open

from finer1.engines.interface import EngineSettings
from finer1.engines.local_models import own_model
from finer1.engines.vllm import VllmEngine
from finer1.serving.server import ServerModel


def load(settings: EngineSettings) -> VllmEngine:
    """The engine for the model folder and the server of the settings.

    Raises ValueError when one of them is missing or the server was started otherwise than
    setup/README.md says, ConnectionError when it does not answer.
    """
    if settings.model is None or settings.scratch is None:
        raise ValueError(
            "the engine `vllm_server` runs the project's own models, from a model folder by way of "
            "a scratch folder; a teacher on a server is the engine `openai:<model>`"
        )
    served = ServerModel(settings.vllm_server, settings.scratch / "weights", sleep_level=0)
    served.load(folder_weights(settings.model))
    return VllmEngine(served, own_model(settings.model))


def folder_weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and tensors of a model folder's safetensors files."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                yield name, file.get_tensor(name)
