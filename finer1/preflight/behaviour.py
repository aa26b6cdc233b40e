"""Do the pieces work together: the tiny model, two engines, an image, a training step.

    python -m finer1.preflight.behaviour MODEL DEVICE     rows as JSON, one a line, as they come

DEVICE: runtime.device, which is looked for first; the model itself runs on the CPU.

In a process of its own, so that whoever asks can end it. Versions that import well may still
compute nonsense together: another attention, positions that lack an axis, features of another
image. Each of these has passed silently somewhere.

Shape letters: T completion tokens, V vocabulary.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from finer1.preflight.rows import Row

if TYPE_CHECKING:
    import torch
    from PIL import Image

_QUESTION = "What kind of bird is this?"
_COMPLETION = "<answer>elm wren</answer>"
AGREEMENT = 1e-3
"""Largest difference of two log-probabilities that float32 explains; both engines sum in another
order. Two machines gave 2e-6 at most."""
_CHANGE = 1e-2
"""Smallest difference that another image must make; that of the world's base is 0.5 or more."""
_LR = 1e-4


def gpu_row(device: str) -> Row:
    """The GPU that models will run on; device: auto, cpu or cuda."""
    import torch

    if torch.cuda.is_available():
        named = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info())
        what = f"{', '.join(named)}; {free:.0f} of {total:.0f} GiB of the first free"
        return Row("OK", "gpu", what)
    if device == "cuda":
        fix = "finer1 run -S runtime.device=auto, or install a driver and a CUDA build of torch"
        return Row("FAIL", "gpu", "runtime.device is cuda, and torch finds none", fix)
    return Row("OK", "gpu", f"none, and none asked for (torch {torch.__version__} on the CPU)")


def examine(folder: Path) -> Iterator[Row]:
    """Rows about the model folder, one after the other; a failure ends them."""
    from finer1.policy.folder import load_policy

    model, processor = load_policy(folder, "cpu", train_vision=False)
    count = sum(parameter.numel() for parameter in model.parameters())
    yield Row("OK", "tiny model", f"{folder} loads, {count / 1e6:.1f} million parameters")
    images = [_picture((200, 40, 40)), _picture((40, 60, 200))]
    ids = processor.tokenizer(_COMPLETION, add_special_tokens=False)["input_ids"]
    packed = [_packed(model, processor, image, ids) for image in images]
    yield _agreement("engines", packed[0], _transformers(model, processor, images[0], ids))
    yield _image_row(packed[0], packed[1])
    yield _step_row(model, lambda: _packed(model, processor, images[0], ids))
    if find_spec("vllm"):
        yield _vllm_row(folder, images[0])


def _picture(colour: tuple[int, int, int]) -> "Image.Image":
    """A disc of that colour on a light ground."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (64, 64), (210, 225, 210))
    ImageDraw.Draw(image).ellipse((14, 14, 50, 50), fill=colour)
    return image


def _packed(model: Any, processor: Any, image: "Image.Image", ids: list[int]) -> "torch.Tensor":
    """Log-probabilities [T] by the trainer's own forward."""
    import torch

    from finer1.policy.encoding import condition_on, encode_prompts
    from finer1.policy.forward import score_completions

    (prompt,) = encode_prompts(model, processor, [_QUESTION], [image], "")
    branch = condition_on([(prompt, 1)], processor.tokenizer.pad_token_id)
    tokens = torch.tensor([ids])
    mask = torch.ones_like(tokens, dtype=torch.bool)
    (scored,) = score_completions(model, [branch], tokens, mask, 1.0, "packed")
    return scored[0]


def _transformers(
    model: Any, processor: Any, image: "Image.Image", ids: list[int]
) -> "torch.Tensor":
    """Log-probabilities [T] by transformers' processor and forward alone."""
    import torch

    from finer1.chat import render_prompt

    prompt = render_prompt(processor, _QUESTION, 1, "") + _COMPLETION
    batch = processor(text=[prompt], images=[[image]], return_tensors="pt")
    with torch.inference_mode():
        hidden = model.model(**batch).last_hidden_state[0, -len(ids) - 1 : -1]
        logits = torch.nn.functional.linear(hidden, model.lm_head.weight)  # [T, V]
    return logits.float().log_softmax(dim=-1).gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)


def _agreement(subject: str, ours: "torch.Tensor", theirs: "torch.Tensor") -> Row:
    gap = float((ours.detach() - theirs).abs().max())
    what = f"packed forward and transformers differ by {gap:.1e} in the log-probability of a token"
    if gap <= AGREEMENT:
        return Row("OK", subject, what)
    fix = "finer1 run -S runtime.forward=plain, and make setup for the versions of the lock"
    return Row("FAIL", subject, f"{what}, more than {AGREEMENT:g}", fix)


def _image_row(first: "torch.Tensor", second: "torch.Tensor") -> Row:
    change = float((first - second).detach().abs().max())
    what = f"another image changes the log-probability of a token by {change:.1e}"
    if change >= _CHANGE:
        return Row("OK", "image", what)
    return Row("FAIL", "image", f"{what}: the model does not see it", "make setup")


def _step_row(model: Any, score: Callable[[], "torch.Tensor"]) -> Row:
    """One step of AdamW on the completion: weights change, and it becomes more likely."""
    import torch

    from finer1.policy.optimizer import build_optimizer

    trained = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    optimizer = build_optimizer(model, _LR, 0.0, (0.9, 0.999))
    loss = -score().mean()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        before, after = -float(loss.detach()), float(score().mean())
    changed = sum(
        not torch.equal(trained[n], p) for n, p in model.named_parameters() if n in trained
    )
    what = (
        f"one optimizer step changes {changed} of {len(trained)} weights, log-probability of a "
        f"token {before:.3f} to {after:.3f}"
    )
    if changed and after > before:
        return Row("OK", "training step", what)
    return Row("FAIL", "training step", f"{what}: it does not learn", "make setup")


def _vllm_row(folder: Path, image: "Image.Image") -> Row:
    """Greedy answers of vLLM and of transformers to one image."""
    from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
    from finer1.model_params import VllmParams

    memory = VllmParams(memory_share=0.3, sleep_level=0, cpu_cache_mib=64, tensor_parallel=1)
    sampling = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)
    request = Request(_QUESTION, (image,))
    texts = [
        load_engine(name, EngineSettings(folder, {}, "cpu", vllm=memory))
        .generate([request], sampling)[0][0]
        .text
        for name in ("transformers", "vllm")
    ]
    if texts[0] == texts[1]:
        return Row("OK", "vllm", f"answers as transformers does: {texts[0]!r}")
    what = f"answers {texts[1]!r}, transformers {texts[0]!r}"
    return Row("FAIL", "vllm", what, "finer1 run -S runtime.engine=transformers")


def main(folder: str, device: str) -> None:
    """Print the rows of device and model folder as JSON lines; a failure is the last one."""
    with os.fdopen(os.dup(1), "w") as rows:
        os.dup2(2, 1)  # lines that a library prints are no rows
        _print_rows(folder, device, rows)


def _print_rows(folder: str, device: str, rows: IO[str]) -> None:
    try:
        print(json.dumps(asdict(gpu_row(device))), file=rows, flush=True)
        for row in examine(Path(folder)):
            print(json.dumps(asdict(row)), file=rows, flush=True)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        failed = Row("FAIL", "model", f"{type(error).__name__}: {reason}", "make setup")
        print(json.dumps(asdict(failed)), file=rows, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
