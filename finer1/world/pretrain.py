"""Makes the base model of the embedded world from nothing.

Command: python -m finer1.world.pretrain [--out DIR] [--taxonomy NAME] [--seed N] [--work DIR]
Output: a Hugging Face folder (bfloat16 safetensors, tokenizer, processor) with a model card.

Takes about 13 CPU-minutes. Phases keep checkpoints in the work folder; a killed run continues
from them, and gives the weights that an unbroken one gives.
"""

import argparse
import hashlib
import shutil
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
)

from finer1.world import measure, skills
from finer1.world.architecture import build_model, build_processor, train_tokenizer
from finer1.world.card import card_text
from finer1.world.optimisation import Phase, load_state
from finer1.world.pool import Picture, load_pool, plan_pool
from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import Taxonomy
from finer1.world.vocabulary import vocabulary

POOL_IMAGES = 20_000
POOL_NUISANCE = 0.5
"""Nuisance of pre-training; data sets use 0.8, which leaves perception something to learn."""
TEST_PER_CLASS = 4
JOINT_THREADS = 1
"""Fixed, as sums over threads depend on their number."""


def pretrain(out: Path, world: Taxonomy, seed: int, work: Path) -> None:
    """Train, save, measure what was saved, and write its card."""
    began = time.monotonic()
    work = work / recipe_key(world, seed)
    run_side_by_side(_vision_phase, _text_phase, (world.name, seed, work))
    torch.set_num_threads(JOINT_THREADS)
    tokenizer = train_tokenizer(vocabulary(world))
    model = build_model(tokenizer, seed)
    pictures, pixels = _pool(world, seed, work)
    load_state(work / "vision.safetensors", _tower_parameters(model), None)
    load_state(work / "text.safetensors", skills.language_parameters(model), None)
    print("visual tokens of the pool", flush=True)
    features = skills.visual_tokens(model, pixels)
    joint = phases(world)[2]
    checkpoint = work / "joint.safetensors"
    skills.train_joint(model, tokenizer, features, pictures, world, joint, seed, checkpoint)
    save_base(model, tokenizer, work / "base")
    print("measuring", flush=True)
    card = measure_base(work / "base", world, seed)
    (work / "base" / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(work / "base", out)
    shutil.rmtree(work)
    print(f"{out} made in {time.monotonic() - began:.0f} s", flush=True)


def phases(world: Taxonomy) -> tuple[Phase, Phase, Phase]:
    """Vision, text and joint phase for this taxonomy."""
    if world.name == "embedded":
        return skills.VISION, skills.TEXT, skills.JOINT
    return skills.VISION, skills.LARGE_TEXT, skills.LARGE_JOINT


def recipe_key(world: Taxonomy, seed: int) -> str:
    """Names all that shapes the checkpoints, so that none of another recipe is continued."""
    recipe = (seed, *phases(world), skills.IMAGE_SHARES, POOL_IMAGES, POOL_NUISANCE, world.hash)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]


def run_side_by_side(
    first: Callable[[str, int, Path], None],
    second: Callable[[str, int, Path], None],
    args: tuple[str, int, Path],
) -> None:
    """Call both functions at once, each in a process of its own.

    Raises RuntimeError when one fails.
    """
    context = get_context("spawn")
    processes = [context.Process(target=function, args=args) for function in (first, second)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a phase of pre-training failed; its message stands above")


def save_base(
    model: Qwen2_5_VLForConditionalGeneration, tokenizer: Qwen2Tokenizer, folder: Path
) -> None:
    """Write model (bfloat16), tokenizer and processor as a Hugging Face folder."""
    model.to(torch.bfloat16).save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)


def measure_base(folder: Path, world: Taxonomy, seed: int) -> str:
    """The model card of the saved base, with figures of the weights as they are on disk."""
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False
    ).eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    figures = {
        f"S2, {name}": figure
        for name, figure in measure.measure_reasoning(model, processor, world).items()
    }
    for block, nuisance in enumerate((POOL_NUISANCE, 0.8)):
        shown = measure.test_images(world, nuisance, TEST_PER_CLASS, block)
        perceived = measure.measure_perception(model, processor, shown)
        figures |= {f"S1, {name}, nuisance {nuisance}": perceived[name] for name in perceived}
    answers = measure.measure_answers(model, processor, world, shown)
    figures |= {f"{name}, nuisance {nuisance}": answers[name] for name in answers}
    for name, figure in figures.items():
        print(f"{name}: {figure}", flush=True)
    return card_text(folder, world, seed, model.num_parameters(), figures)


def _pool(world: Taxonomy, seed: int, work: Path) -> tuple[list[Picture], "torch.Tensor"]:
    pictures = plan_pool(world, seed, POOL_IMAGES)
    return pictures, load_pool(work / "pool.npy", pictures, seed, POOL_NUISANCE)


def _tower_parameters(model: Qwen2_5_VLForConditionalGeneration) -> dict[str, torch.Tensor]:
    return {f"tower.{name}": value for name, value in model.model.visual.named_parameters()}


def _vision_phase(taxonomy: str, seed: int, work: Path) -> None:
    torch.set_num_threads(1)
    world = load_taxonomy(taxonomy)
    model = build_model(train_tokenizer(vocabulary(world)), seed)
    pictures, pixels = _pool(world, seed, work)
    skills.train_vision(model, pixels, pictures, seed, work / "vision.safetensors")


def _text_phase(taxonomy: str, seed: int, work: Path) -> None:
    torch.set_num_threads(1)
    world = load_taxonomy(taxonomy)
    tokenizer = train_tokenizer(vocabulary(world))
    model = build_model(tokenizer, seed)
    skills.train_text(model, tokenizer, world, phases(world)[1], seed, work / "text.safetensors")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and make the base."""
    parser = argparse.ArgumentParser(prog="python -m finer1.world.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/base/world"))
    parser.add_argument("--taxonomy", default="embedded", help="embedded, or large_<seed>")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("models/.resume/pretrain"))
    arguments = parser.parse_args(argv)
    pretrain(arguments.out, load_taxonomy(arguments.taxonomy), arguments.seed, arguments.work)


if __name__ == "__main__":
    main()
