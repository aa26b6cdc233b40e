"""Model folders with canaries: code in every file of one that some loader is known to run."""

import json
import pickle
import shutil

CODE = """
from pathlib import Path
Path({ran!r}).touch()
from transformers import (
    PreTrainedConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor,
    Qwen2TokenizerFast, Qwen2VLImageProcessor,
)
class CanaryConfig(PreTrainedConfig):
    model_type = "canary"
class CanaryModel(Qwen2_5_VLForConditionalGeneration):
    pass
class CanaryProcessor(Qwen2_5_VLProcessor):
    pass
class CanaryTokenizer(Qwen2TokenizerFast):
    pass
class CanaryImageProcessor(Qwen2VLImageProcessor):
    pass
def generate(*args, **kwargs):
    raise AssertionError("a folder's own way to generate")
"""
TEMPLATE = (
    "{{% for c in ''.__class__.__mro__[1].__subclasses__() %}}{{% if c.__name__ == 'Popen' %}}"
    "{{{{ c(['touch', {ran!r}]) }}}}{{% endif %}}{{% endfor %}}"
)
PICKLES = (
    "pytorch_model.bin",
    "model.pt",
    "training_args.bin",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "adapter_model.bin",
)


class Intruder:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def _change(path, **values):
    config = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(config | values))


def pickled(folder, ran):
    """Weights as a pickle in the place of safetensors."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Intruder(ran)}))


def pickled_beside(folder, ran):
    """Pickles beside the safetensors, as trainers leave them."""
    for name in PICKLES:
        (folder / name).write_bytes(pickle.dumps({"a": Intruder(ran)}))


def own_model(folder, ran):
    """A model of its own; config.json names the code and asks to be trusted (CVE-2026-5241)."""
    _code(folder, ran)
    auto_map = {
        "AutoConfig": "canary.CanaryConfig",
        "AutoModel": "canary.CanaryModel",
        "AutoModelForImageTextToText": "canary.CanaryModel",
    }
    _change(folder / "config.json", model_type="canary", auto_map=auto_map, trust_remote_code=True)


def mapped_known_model(folder, ran):
    """A model that transformers knows, with code of its own all the same."""
    _code(folder, ran)
    auto_map = {"AutoModelForImageTextToText": "canary.CanaryModel", "AutoModel": "canary.X"}
    _change(folder / "config.json", auto_map=auto_map, trust_remote_code=True)


def own_tokenizer(folder, ran):
    """A tokenizer of its own."""
    _code(folder, ran)
    auto_map = {"AutoTokenizer": [None, "canary.CanaryTokenizer"]}
    _change(folder / "tokenizer_config.json", tokenizer_class="CanaryTokenizer", auto_map=auto_map)


def own_processor(folder, ran):
    """A processor and an image processor of its own."""
    _code(folder, ran)
    both = {
        "AutoProcessor": "canary.CanaryProcessor",
        "AutoImageProcessor": "canary.CanaryImageProcessor",
    }
    for name in ("processor_config.json", "preprocessor_config.json"):
        _change(folder / name, processor_class="CanaryProcessor", auto_map=both)


def own_generation(folder, ran):
    """A way of its own to generate, where transformers looks for one."""
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate/generate.py").write_text(CODE.format(ran=str(ran)))
    (folder / "custom_generate/requirements.txt").write_text("")
    _change(folder / "generation_config.json", custom_generate=str(folder))


def escaping_template(folder, ran):
    """A chat template that reaches for the interpreter."""
    (folder / "chat_template.jinja").write_text(TEMPLATE.format(ran=str(ran)))


def _code(folder, ran):
    (folder / "canary.py").write_text(CODE.format(ran=str(ran)))


CANARIES = (
    pickled,
    pickled_beside,
    own_model,
    mapped_known_model,
    own_tokenizer,
    own_processor,
    own_generation,
    escaping_template,
)


def copy_with(canary, source, folder, ran):
    """A copy of the model at `source` with that canary; its code would make the file `ran`."""
    shutil.copytree(source, folder)
    canary(folder, ran)
    return folder
