"""The check that ends an export: the card's own example, run apart, answers as the project does."""

import gc
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from finer1.asking import Asking
from finer1.evaluation.answers import normalise
from finer1.evaluation.reading import read_completion
from finer1.lifetime import dying_with_parent
from finer1.recognition.reading import asked_about

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FENCE = "```python"
_TIMEOUT_S = 3600.0
"""Of the fresh process: far beyond what loading a model and one answer take."""


@dataclass(frozen=True)
class Golden:
    """What the project's own decoder says of one image."""

    raw: str
    answer: str | None
    dtype: str
    """Number format that it computed in: float32 or bfloat16."""
    answer_from: str
    """Where the answer stands: tags or text."""


def golden_answer(
    model: Path, image: Image.Image, category: str, asking: Asking, device: str
) -> Golden:
    """The greedy answer to the open question, by the decoder of the evaluation."""
    from finer1.recognition import Recognizer

    recognizer = Recognizer.load(model, device, asking)
    found = recognizer.predict(image, category=category)
    dtype = recognizer.identity.split(":")[1]
    del recognizer
    _free_memory()  # the fresh process loads the model again
    return Golden(found.raw, found.answer, dtype, asked_about(asking, (), category).answer_from)


def card_block(card: str) -> str:
    """The Python of a card, which is run. Raises ValueError unless there is exactly one block."""
    found = _BLOCK.search(card)
    if found is None:
        raise ValueError("the card has no block of Python")
    if card.count(_FENCE) != 1:
        raise ValueError("the card has more than one block of Python: something brought its own")
    return found[1]


def run_block(
    block: str, folder: Path, environ: Mapping[str, str], timeout_s: float = _TIMEOUT_S
) -> str:
    """What a block prints, run in the folder by a fresh Python that knows no path of this one.

    Nothing is fetched, and it knows no token. Raises RuntimeError with the last line of its errors
    when it fails, or has not ended after timeout_s.
    """
    known = {name: value for name, value in environ.items() if not name.endswith("TOKEN")}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-X", "utf8", "-c", block],
            cwd=folder,
            env={**known, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
            preexec_fn=dying_with_parent(),
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"the exported folder has not answered in a fresh process after {timeout_s:g} s"
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RuntimeError(f"the exported folder does not answer in a fresh process: {last}")
    return done.stdout.removesuffix("\n")


def check_golden(
    card: str, folder: Path, golden: Golden, is_exact: bool, environ: Mapping[str, str]
) -> str:
    """A sentence on the folder's answer in a fresh process, which is that of the project.

    The card's block runs as it is. is_exact: every word must be the same; adapters that are not
    merged round sums otherwise, and the answer must.
    Raises RuntimeError when it is not.
    """
    raw = run_block(card_block(card), folder, environ)
    if raw == golden.raw:
        said = "no answer" if golden.answer is None else golden.answer
        return f"{said}, word for word as the project's own decoder ({golden.dtype})"
    answer = read_completion(raw, golden.answer_from).answer
    both = answer is not None and golden.answer is not None
    if both and not is_exact and normalise(str(answer)) == normalise(str(golden.answer)):
        return f"{answer}, as the project's own decoder; the words before it differ"
    raise RuntimeError(
        "the exported folder answers otherwise in a fresh process than the project's own decoder: "
        f"{_short(raw)} in place of {_short(golden.raw)}; nothing was written"
    )


def quiet_environment(environ: Mapping[str, str], device: str) -> dict[str, str]:
    """The caller's environment without what would lead a fresh Python to the project's modules.

    device: cpu hides the GPUs.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    return {**kept, "CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else kept


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 120 else f"{line[:120]}...")
