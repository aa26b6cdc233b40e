"""FSDP2 and ZeRO-3 in processes without a GPU."""

import os

import yaml
from accelerate.state import AcceleratorState, DistributedType, PartialState
from torch.distributed.fsdp import FSDPModule


def shard_on_cpu(repository, module):
    """Have accelerate shard over gloo, as setup/accelerate/fsdp2.yaml says.

    accelerate 1.15 hears FSDP only of GPUs, though torch can do it on a CPU. module: the one that
    saves the policy; there it is seen that the model was spread.
    """
    config = yaml.safe_load((repository / "setup/accelerate/fsdp2.yaml").read_text())
    names = {"fsdp_transformer_layer_cls_to_wrap": "FSDP_TRANSFORMER_CLS_TO_WRAP"}
    for name, value in config["fsdp_config"].items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        os.environ[names.get(name, name.upper())] = text
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    begin, save = AcceleratorState.__init__, module.save_policy

    def init(self, *args, fsdp_plugin=None, **kwargs):
        begin(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
            PartialState._shared_state["distributed_type"] = self.distributed_type

    def checked_save(model, *args):
        assert sum(isinstance(part, FSDPModule) for part in model.modules()) > 4
        save(model, *args)

    AcceleratorState.__init__, module.save_policy = init, checked_save


def spread_on_cpu(repository, module):
    """Have DeepSpeed spread over gloo, as setup/accelerate/zero3.yaml says, but in float32.

    module: the one that saves the policy; there it is seen that the model was spread.
    """
    config = yaml.safe_load((repository / "setup/accelerate/zero3.yaml").read_text())
    names = {
        "zero3_init_flag": "DEEPSPEED_ZERO3_INIT",
        "gradient_accumulation_steps": "GRADIENT_ACCUMULATION_STEPS",
    }
    for name, value in config["deepspeed_config"].items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        os.environ[f"ACCELERATE_{names.get(name, f'DEEPSPEED_{name.upper()}')}"] = text
    os.environ |= {"ACCELERATE_USE_DEEPSPEED": "true", "DS_ACCELERATOR": "cpu"}
    save = module.save_policy

    def checked_save(model, *args):
        assert all(hasattr(parameter, "ds_id") for parameter in model.parameters())
        save(model, *args)

    module.save_policy = checked_save
