"""What a run needs at its start, done once in the process that all runs are forked from."""

import gc
from importlib import import_module

from transformers.conversion_mapping import get_checkpoint_conversion_mapping

for name in ("modeling_qwen2_5_vl", "processing_qwen2_5_vl"):
    import_module(f"transformers.models.qwen2_5_vl.{name}")
for name in ("transformers.models.qwen2_vl.image_processing_qwen2_vl", "train_process"):
    import_module(name)
get_checkpoint_conversion_mapping("qwen2_5_vl")  # compiles hundreds of expressions
gc.freeze()
