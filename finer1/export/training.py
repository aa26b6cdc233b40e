"""How a model of a run was trained, in the words of its card."""

from typing import Literal

from finer1.evaluation_params import Strategy
from finer1.params import Params

UNKNOWN = "How it was trained is not known here."
_FINER1 = 'by finer1, after the paper "Fine-R1" (arXiv 2602.07605)'
_TARGETS = {
    "rationale": "rationales in four parts",
    "prose": "rationales in prose",
    "free": "rationales without parts",
    "answer": "names alone",
}
"""sft.target -> what SFT learns."""
_RL = "reinforcement learning on triplets of images (TAPO)"


def trained_stages(params: Params, stage: Literal["sft", "tapo"]) -> tuple[str, ...]:
    """The stages that took steps, of those up to the one that wrote the model."""
    took = [("sft", params.sft.steps != 0), ("tapo", stage == "tapo" and params.tapo.steps > 0)]
    return tuple(name for name, is_taken in took if is_taken)


def describe_training(params: Params | None, stage: Literal["sft", "tapo"] | None) -> str:
    """The stages that trained it; stage: that which wrote it, None where that is not known."""
    if params is None or stage is None:
        return UNKNOWN
    stages = trained_stages(params, stage)
    supervised = f"supervised on {_TARGETS[params.sft.target]} (SFT)"
    if not stages:
        return "It was not trained: the weights are those of what it was made from."
    if stages == ("sft",):
        return f"It was trained in one stage {_FINER1}: {supervised}."
    if stages == ("tapo",):
        return f"It was trained in one stage {_FINER1}: by {_RL}."
    return f"It was trained in two stages {_FINER1}: {supervised}, then by {_RL}."


def describe_writing(
    params: Params | None, stage: Literal["sft", "tapo"] | None, strategy: Strategy
) -> str:
    """What it does when it is asked; params of the run that trained it, where that is known."""
    if strategy == "direct":
        return "answers with a name alone"
    if params is None or stage is None or "sft" not in trained_stages(params, stage):
        return "writes a text that ends in a name"
    written = {
        "rationale": "writes a rationale in four parts and then a name",
        "prose": "writes a rationale in prose and then a name",
        "free": "writes a rationale without parts and then a name",
        "answer": "answers with a name alone",
    }
    return written[params.sft.target]
