"""What vLLM's worker does for us besides its own methods.

    --worker-extension-cls finer1.serving.worker.WeightReceiver

vLLM 0.31 reloads weights layer by layer and leaves a tied output head alone, for its weight is the
embedding's. On a CPU, though, the head multiplies with a packed copy of its own, which would stay
as it was: every later sample would come from a mixture of old and new weights, without a warning.
To be removed when `reload_weights` packs tied heads, too.
"""

from collections.abc import Iterable
from typing import Any


class WeightReceiver:
    """Mixed into vLLM's worker class."""

    model_runner: Any

    def receive_weights(
        self, path: str | None = None, weights: Iterable[tuple[str, Any]] | None = None
    ) -> None:
        """Load the weights of a folder, or those given, and pack a tied head anew."""
        self.model_runner.reload_weights(weights_iterator=weights, weights_path=path)
        for layer in self.model_runner.get_model().modules():
            if type(layer).__name__ == "ParallelLMHead":
                layer.quant_method.process_weights_after_loading(layer)
