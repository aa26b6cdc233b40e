"""Makes a base model of the embedded world from nothing.

Command: python -m finer1.world.pretrain [--config FILE] [--taxonomy NAME] [--out DIR] [--seed N]
         [--work DIR]
Output: a Hugging Face folder (bfloat16 safetensors, tokenizer, processor) with a model card.

Takes about 13 CPU-minutes with the default recipe, that of the committed base. Phases keep
checkpoints in the work folder; a killed run continues from them, and gives the weights that an
unbroken one gives.
"""

import argparse
import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, Qwen2Tokenizer

from finer1.files import new_folder, sha256_file
from finer1.lifetime import dying_with_parent
from finer1.manifest import write_manifest
from finer1.world import measure, skills
from finer1.world.architecture import Model, build_model, build_processor, train_tokenizer
from finer1.world.card import card_text
from finer1.world.optimisation import load_state
from finer1.world.pool import Picture, load_pool, plan_pool
from finer1.world.recipe import PoolShape, Recipe, read_recipe
from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import Taxonomy
from finer1.world.vocabulary import vocabulary

DEFAULT_CONFIG = Path("finer1/world/configs/qwen2_5_vl.yaml")
DEFAULT_TAXONOMY = "embedded"
MEASURED_NUISANCE = 0.8
"""That of the data sets, besides the pool's own."""
TEST_PER_CLASS = 4
JOINT_THREADS = 1
"""Fixed, as sums over threads depend on their number."""

Figures = Mapping[str, measure.Figure]


def pretrain(config: Path, taxonomy: str, seed: int, out: Path, work: Path) -> Figures:
    """Train by the recipe in `config`, save, measure what was saved, write its card; the figures.

    work: scratch folder. Raises ValueError for a wrong recipe or an unknown taxonomy.
    """
    began = time.monotonic()
    recipe, world = read_recipe(config), load_taxonomy(taxonomy)
    work = work / recipe_key(recipe, world, seed)
    tokenizer = train_tokenizer(vocabulary(world))
    model = build_model(tokenizer, recipe.architecture, seed)
    if recipe.start is None:
        run_side_by_side(_vision_phase, _text_phase, (recipe, taxonomy, seed, work))
        load_state(work / "vision.safetensors", _tower_parameters(model), None)
        load_state(work / "text.safetensors", skills.language_parameters(model), None)
    else:
        start_from(recipe.start, model, tokenizer)
    torch.set_num_threads(JOINT_THREADS)
    pictures, pixels = _pool(recipe.pool, world, seed, work)
    print("visual tokens of the pool", flush=True)
    features = skills.visual_tokens(model, pixels)
    joint, checkpoint = recipe.phases.joint, work / "joint.safetensors"
    skills.train_joint(model, tokenizer, features, pictures, world, joint, seed, checkpoint)
    with new_folder(out) as part:
        save_base(model, tokenizer, recipe, part)
        print("measuring", flush=True)
        figures = measure_base(part, world, recipe.pool.nuisance)
        options = _options(config, taxonomy, seed)
        card = card_text(part, model, world, options, recipe.pool.nuisance, figures)
        (part / "README.md").write_text(card, encoding="utf-8")
        write_manifest(part)
    shutil.rmtree(work)
    print(f"{out} made in {time.monotonic() - began:.0f} s", flush=True)
    return figures


def recipe_key(recipe: Recipe, world: Taxonomy, seed: int) -> str:
    """Names all that shapes the checkpoints, so that none of another recipe is continued."""
    start = None if recipe.start is None else recipe.start / "model.safetensors"
    # Of a start that is not there `start_from` tells.
    content = sha256_file(start) if start is not None and start.is_file() else None
    facts = (seed, recipe.model_dump_json(), skills.IMAGE_SHARES, world.hash, content)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def start_from(folder: Path, model: Model, tokenizer: Qwen2Tokenizer) -> None:
    """Fill the weights of `model` from those of a base in `folder`.

    Raises ValueError when it is no such base: of another architecture, or with other words.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"the recipe starts from {folder}, where no base is")
    words = AutoProcessor.from_pretrained(folder, trust_remote_code=False).tokenizer.get_vocab()
    if words != tokenizer.get_vocab():
        raise ValueError(f"{folder} has other words than this taxonomy; start from another base")
    found = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    shapes = [
        {name: value.shape for name, value in item.state_dict().items()} for item in (model, found)
    ]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{folder} is of another architecture than the recipe's")
    model.load_state_dict(found.state_dict())


_Phase = Callable[[Recipe, str, int, Path], None]


def run_side_by_side(first: _Phase, second: _Phase, args: tuple[Recipe, str, int, Path]) -> None:
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


def save_base(model: Model, tokenizer: Qwen2Tokenizer, recipe: Recipe, folder: Path) -> None:
    """Write model (bfloat16), tokenizer and processor as a Hugging Face folder."""
    model.to(torch.bfloat16).save_pretrained(folder)
    build_processor(tokenizer, recipe.architecture).save_pretrained(folder)


def measure_base(folder: Path, world: Taxonomy, pool_nuisance: float) -> Figures:
    """What the saved base can do, with the weights as they are on disk, by name."""
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    ).eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    figures = {
        f"S2, {name}": figure
        for name, figure in measure.measure_reasoning(model, processor, world).items()
    }
    for block, nuisance in enumerate((pool_nuisance, MEASURED_NUISANCE)):
        shown = measure.test_images(world, nuisance, TEST_PER_CLASS, block)
        perceived = measure.measure_perception(model, processor, shown)
        figures |= {f"S1, {name}, nuisance {nuisance}": perceived[name] for name in perceived}
    answers = measure.measure_answers(model, processor, world, shown)
    figures |= {f"{name}, nuisance {nuisance}": answers[name] for name in answers}
    for name, figure in figures.items():
        print(f"{name}: {figure}", flush=True)
    return figures


def _options(config: Path, taxonomy: str, seed: int) -> str:
    """Of the command that makes it; those that are not the default's."""
    words = [] if config == DEFAULT_CONFIG else ["--config", config.as_posix()]
    words += [] if taxonomy == DEFAULT_TAXONOMY else ["--taxonomy", taxonomy]
    return " ".join([*words, "--seed", str(seed)])


def _pool(
    shape: PoolShape, world: Taxonomy, seed: int, work: Path
) -> tuple[list[Picture], "torch.Tensor"]:
    pictures = plan_pool(world, seed, shape.images)
    return pictures, load_pool(work / "pool.npy", pictures, seed, shape.nuisance)


def _tower_parameters(model: Model) -> dict[str, torch.Tensor]:
    return {f"tower.{name}": value for name, value in model.model.visual.named_parameters()}


def _vision_phase(recipe: Recipe, taxonomy: str, seed: int, work: Path) -> None:
    dying_with_parent()()
    torch.set_num_threads(1)
    world = load_taxonomy(taxonomy)
    assert recipe.phases.vision is not None
    model = build_model(train_tokenizer(vocabulary(world)), recipe.architecture, seed)
    pictures, pixels = _pool(recipe.pool, world, seed, work)
    checkpoint = work / "vision.safetensors"
    skills.train_vision(model, pixels, pictures, recipe.phases.vision, seed, checkpoint)


def _text_phase(recipe: Recipe, taxonomy: str, seed: int, work: Path) -> None:
    dying_with_parent()()
    torch.set_num_threads(1)
    world = load_taxonomy(taxonomy)
    assert recipe.phases.text is not None
    tokenizer = train_tokenizer(vocabulary(world))
    model = build_model(tokenizer, recipe.architecture, seed)
    checkpoint = work / "text.safetensors"
    skills.train_text(model, tokenizer, world, recipe.phases.text, seed, checkpoint)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and make the base."""
    parser = argparse.ArgumentParser(prog="python -m finer1.world.pretrain", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="a recipe, YAML")
    parser.add_argument(
        "--taxonomy", default=DEFAULT_TAXONOMY, help="embedded, or large_<seed> or twins_<seed>"
    )
    parser.add_argument("--out", type=Path, default=Path("models/base/world"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("models/.resume/pretrain"))
    options = parser.parse_args(argv)
    try:
        read_recipe(options.config)
        load_taxonomy(options.taxonomy)
    except ValueError as error:
        parser.error(str(error))
    pretrain(options.config, options.taxonomy, options.seed, options.out, options.work)


if __name__ == "__main__":
    main()
