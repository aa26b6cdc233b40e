"""The transformers model inside whatever a trainer wraps around it."""

from typing import Any


def unwrap(model: Any) -> Any:
    """The transformers model inside DDP, DeepSpeed, PEFT and torch.compile wrappers.

    LoRA layers stay in it. FSDP2 wraps nothing: it changes the model in place.
    """
    while True:
        if hasattr(model, "get_base_model"):  # PEFT
            return model.get_base_model()
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        if inner is None:
            return model
        model = inner
