"""The files of an exported folder besides its card: weights, tokenizer, processor, defaults.

A folder that was exported says so in finer1.json, which nothing but finer1 reads, and has the
hashes of its files in SHA256SUMS. By the two it is known again, and may be written anew.
"""

import json
import math
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from finer1.asking import FILE, Asking
from finer1.files import write_json
from finer1.manifest import MANIFEST, damages
from finer1.policy.storage import ADAPTERS

Lora = Literal["merged", "separate"]

_KINDS = (".json", ".jinja", ".safetensors", ".txt", ".model")
"""What a model's folder may hold that is data alone; no pickle, no code."""
_OWN = ("README.md", MANIFEST, FILE, "generation_config.json")
"""Written anew."""
_OF_WEIGHTS = ("config.json", "model.safetensors.index.json")
_ADAPTER_CONFIG = "adapter_config.json"
_MARK = "exported"


@dataclass(frozen=True)
class Source:
    """The model that is exported."""

    model: Path
    """Its folder."""
    lora: Lora


def check_source(source: Source) -> None:
    """Raise ValueError when the folder is no model, or has no adapters that could be separate."""
    if not (source.model / "config.json").is_file():
        raise ValueError(f"{source.model} is no folder of a model; it has no config.json")
    if source.lora == "merged":
        return
    if not (source.model / ADAPTERS / _ADAPTER_CONFIG).is_file():
        raise ValueError(
            f"{source.model} has no adapters to separate; train with them (finer1 run -S "
            "tapo.lora_rank=16), or export with --lora merged"
        )
    base = adapted_model(source.model)
    if not (base / "config.json").is_file():
        raise ValueError(
            f"the model that the adapters belong to is not at {base}; run the stage sft, or export "
            "with --lora merged"
        )


def adapted_model(model: Path) -> Path:
    """Folder of the model that the adapters beside some weights belong to."""
    adapters = model / ADAPTERS
    config = json.loads((adapters / _ADAPTER_CONFIG).read_text(encoding="utf-8"))
    return Path(os.path.normpath(adapters / config["base_model_name_or_path"]))


def check_target(out: Path, *sources: Path) -> None:
    """Raise ValueError unless `out` may be written: new, empty, or as an export has left it."""
    for place in (path.resolve() for path in sources):
        target = out.resolve()
        if target == place or place in target.parents or target in place.parents:
            raise ValueError(f"--out {out} lies in or around {place}; name a folder apart from it")
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a new folder")
    if not any(out.iterdir()):
        return
    if not _is_exported(out):
        raise ValueError(f"--out {out} was not written by finer1 export; name a new folder")
    wrong = [f"{path.name} {what}" for path, what in damages(out)]
    listed = listed_files(out / MANIFEST)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    wrong += [f"{name} was added" for name in sorted(files - listed - {MANIFEST})]
    if wrong:
        raise ValueError(
            f"--out {out} is not as finer1 export left it ({', '.join(wrong)}); name a new folder, "
            "or remove this one if it may go"
        )


def listed_files(manifest: Path) -> set[str]:
    """The files that a manifest names: each line has 64 digits and two blanks before a name."""
    return {line[66:] for line in manifest.read_text(encoding="utf-8").splitlines()}


def fill_folder(folder: Path, source: Source) -> None:
    """Copy the data of the model into a new folder: no card, no pickle, no code.

    Adapters by themselves name their base relative to the folder.
    """
    is_separate = source.lora == "separate"
    for path in sorted(source.model.iterdir()):
        is_weight = ".safetensors" in path.name or path.name in _OF_WEIGHTS
        is_wanted = path.suffix in _KINDS and path.name not in _OWN
        if path.is_file() and is_wanted and not (is_separate and is_weight):
            shutil.copyfile(path, folder / path.name)
    if is_separate:
        shutil.copytree(source.model / ADAPTERS, folder, dirs_exist_ok=True)
        name_base(folder, os.path.relpath(adapted_model(source.model).resolve(), folder.resolve()))


def name_base(folder: Path, base: str) -> None:
    """Say in the adapters' config which model they belong to: an id of the hub, or a path."""
    path = folder / _ADAPTER_CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, config | {"base_model_name_or_path": base})


def write_defaults(folder: Path, source: Source, asking: Asking) -> None:
    """Write generation_config.json: greedy, as long as in training, ending and never writing what
    the evaluation's decoder ends at and never writes.

    Raises ValueError when the model does not say which token ends a completion.
    """
    from transformers import AutoConfig, GenerationConfig

    from finer1.chat import end_ids, suppressed_ids
    from finer1.policy.folder import load_processor

    processor = load_processor(source.model)
    config = AutoConfig.from_pretrained(
        source.model, local_files_only=True, trust_remote_code=False
    )
    has_own = (source.model / "generation_config.json").is_file()
    given = GenerationConfig.from_pretrained(source.model) if has_own else GenerationConfig()
    ends = end_ids(given, processor)
    pad = given.pad_token_id
    for token in (processor.tokenizer.pad_token_id, ends[0]):
        pad = token if pad is None else pad
    GenerationConfig(
        do_sample=False,
        max_new_tokens=asking.max_tokens,
        bos_token_id=given.bos_token_id,
        eos_token_id=list(ends),
        pad_token_id=pad,
        suppress_tokens=list(suppressed_ids(config, processor.tokenizer)),
    ).save_pretrained(folder)


def mark_exported(
    folder: Path, kind: Literal["model", "rationales"], asking: Asking | None
) -> None:
    """Write finer1.json: what kind of export it is, and how a model is asked."""
    asked = {} if asking is None else {"asking": asdict(asking)}
    write_json(folder / FILE, {**asked, _MARK: kind})


def _is_exported(folder: Path) -> bool:
    path = folder / FILE
    if not path.is_file() or not (folder / MANIFEST).is_file():
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and _MARK in content


def count_parameters(folder: Path) -> int:
    """Numbers in the safetensors files of a folder."""
    from safetensors import safe_open

    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                total += math.prod(file.get_slice(name).get_shape())
    return total
