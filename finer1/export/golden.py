"""The check that ends an export: the card's own example, run apart, answers as the project does."""

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

_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_AUTO = 'dtype="auto"'


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
    return Golden(found.raw, found.answer, dtype, asked_about(asking, (), category).answer_from)


def card_block(card: str) -> str:
    """The Python of a card. Raises ValueError when there is none."""
    found = _BLOCK.search(card)
    if found is None:
        raise ValueError("the card has no block of Python")
    return found[1]


def run_block(
    block: str, folder: Path, environ: Mapping[str, str], timeout_s: float | None = None
) -> str:
    """What a block prints, run in the folder by a fresh Python that knows no path of this one.

    Nothing is fetched. Raises RuntimeError with the last line of its errors when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", block],
        cwd=folder,
        env={**environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        preexec_fn=dying_with_parent(),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RuntimeError(f"the exported folder does not answer in a fresh process: {last}")
    return done.stdout.removesuffix("\n")


def check_golden(
    card: str, folder: Path, golden: Golden, is_exact: bool, environ: Mapping[str, str]
) -> str:
    """A sentence on the folder's answer in a fresh process, which is that of the project.

    The card's block runs as it is, in the number format of the evaluation. is_exact: every word
    must be the same; adapters that are not merged round sums otherwise, and the answer must.
    Raises RuntimeError when it is not.
    """
    block = card_block(card).replace(_AUTO, f'dtype="{golden.dtype}"')
    raw = run_block(block, folder, environ)
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


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 120 else f"{line[:120]}...")
