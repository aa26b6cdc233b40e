"""LoRA adapters (arXiv:2106.09685) of an evaluated model: checked, and merged into its weights.

A folder as PEFT writes it: adapter_config.json and adapter_model.safetensors.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finer1.files import sha256_file

if TYPE_CHECKING:
    from finer1.engines.local_models import LocalModel

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PICKLED = "adapter_model.bin"


@dataclass(frozen=True)
class Adapter:
    """Adapters on this disk."""

    folder: Path
    base: str
    """The model that they were trained on: a folder, or an id of the hub."""
    revision: str | None
    """Its commit or branch, where it is of the hub."""

    @property
    def identity(self) -> str:
        """Names their content."""
        hashes = (sha256_file(self.folder / name) for name in (CONFIG, WEIGHTS))
        return f"lora:{hashlib.sha256(chr(0).join(hashes).encode()).hexdigest()}"


def read_adapter(folder: Path) -> Adapter:
    """The adapters of a folder. Raises ValueError when it has none that may be loaded."""
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} has no {CONFIG}: it is no folder of LoRA adapters")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    kind = config.get("peft_type") if isinstance(config, dict) else None
    if kind != "LORA":
        raise ValueError(f"{path}: peft_type is {kind}; only LORA adapters can be merged")
    if not (folder / WEIGHTS).is_file():
        why = "and a pickled file can run code" if (folder / _PICKLED).is_file() else ""
        remedy = "save the adapters with save_pretrained(..., safe_serialization=True)"
        raise ValueError(f"{folder} has no {WEIGHTS}{', ' if why else ''}{why}; {remedy}")
    base = config.get("base_model_name_or_path")
    if not base:
        raise ValueError(f"{path}: base_model_name_or_path is empty; write the base model there")
    return Adapter(folder, str(base), config.get("revision"))


def merge_adapter(model: Any, folder: Path) -> Any:
    """The transformers model with the adapters of `folder` merged into its weights.

    Raises ValueError when they do not fit: PEFT itself only warns, and the base would be measured
    under the adapters' name.
    """
    from peft import LoraConfig, get_peft_model
    from safetensors import SafetensorError

    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = True
    try:
        wrapped = get_peft_model(model, config)
        loaded = wrapped.load_adapter(str(folder), "default", torch_device=str(model.device))
    except (ValueError, RuntimeError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"{folder} does not fit its base model: {first}") from error
    wrong = [*loaded.missing_keys, *loaded.unexpected_keys]
    if wrong:
        raise ValueError(
            f"{folder} does not fit its base model: {len(loaded.missing_keys)} weights are missing "
            f"and {len(loaded.unexpected_keys)} are for layers that it does not have, the first is "
            f"{wrong[0]}; train or convert the adapters with the transformers that is installed"
        )
    return wrapped.merge_and_unload()


def merged_folder(model: "LocalModel", scratch: Path) -> Path:
    """A folder below `scratch` with the merged model, for engines that read folders.

    Merged in float32 and written as the project's own models are; what is there already is kept.
    Raises ValueError as merge_adapter.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    from finer1.policy.folder import save_policy

    assert model.adapter is not None
    name = hashlib.sha256(model.identity.encode()).hexdigest()[:32]
    output = scratch / f"merged-{name}"
    if not output.is_dir():
        base = AutoModelForImageTextToText.from_pretrained(
            model.folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        save_policy(merge_adapter(base, model.adapter), model.folder, output)
    return output
