"""How lmms-eval asks and scores these tasks; written by `finer1 data export`.

It needs nothing but Python. The rule below is the strict one of Fine-R1's reimplementation: the
completion holds exactly one closed answer element, which equals the label after normalisation.
"""

from typing import Any

# The strict rule stands here in what is written.
from finer1.evaluation.answers import is_exact
from finer1.prompts import parse_completion


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """The user's turn."""
    return str(doc["prompt"])


def doc_to_visual(doc: dict[str, Any]) -> list[Any]:
    """The image."""
    return [doc["image"].convert("RGB")]


def doc_to_messages(
    doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None
) -> list[dict[str, Any]]:
    """System turn, where there is one, then image and text."""
    user = [
        {"type": "image", "url": doc_to_visual(doc)[0]},
        {"type": "text", "text": doc["prompt"]},
    ]
    system = [{"type": "text", "text": doc["system"]}]
    turns = [{"role": "system", "content": system}] if doc["system"] else []
    return [*turns, {"role": "user", "content": user}]


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """accuracy: the strict verdict. answered: there is one closed answer element."""
    completion = parse_completion(results[0])
    return {
        "accuracy": float(is_exact(completion, doc["label"])),
        "answered": float(completion.answer is not None),
    }
