"""The set-up's lock, and torchvision beside a CPU build of torch."""

import re
import subprocess
import sys

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl


def test_every_package_of_the_lock_has_an_exact_version_and_a_hash(repository):
    text = (repository / "requirements.lock").read_text(encoding="ascii")
    entries = re.split(r"(?m)^(?=[A-Za-z])", text)[1:]
    assert len(entries) > 200
    for entry in entries:
        assert re.match(r"[A-Za-z0-9_.-]+==[^ ]+ \\\n    --hash=sha256:[0-9a-f]{64}", entry)


def test_the_lock_names_no_place(repository):
    text = (repository / "requirements.lock").read_text(encoding="ascii")
    assert not re.search(r"://|(?m:^)-", text)


@pytest.mark.slow
def test_torchvision_imports_in_a_fresh_process():
    code = "from torchvision.transforms import v2; import open_clip"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero3"])
def test_accelerate_understands_its_configurations(repository, name):
    path = repository / "setup" / "accelerate" / f"{name}.yaml"
    config = load_config_from_file(str(path))
    assert config.mixed_precision == "bf16"  # as the trainer's own arguments have it on a GPU


def test_the_layers_that_are_sharded_are_the_models(repository):
    path = repository / "setup" / "accelerate" / "fsdp2.yaml"
    config = load_config_from_file(str(path)).fsdp_config
    names = config["fsdp_transformer_layer_cls_to_wrap"].split(",")
    assert names
    assert all(hasattr(modeling_qwen2_5_vl, name) for name in names)
