"""Stage `robustness@<name>`: the completions of a model of params.robustness about damaged images.

    python -m tasks.robustness NAME

Reads paths.questions, paths.splits, paths.images and the model, as the stage `baseline` does;
writes `<paths.predictions>/robustness@<name>.jsonl`. The questions of one setting about a few
images per sub-category are asked about each image as it is and in every corruption at every
severity (finer1/robustness). Copies of images are made when the model takes them and not kept.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from finer1.records import Prediction, Question, write_jsonl
from finer1.robustness.asking import (
    all_cells,
    choose_questions,
    copy_records,
    corrupt_asked,
    corrupt_questions,
    show_corrupted,
)
from finer1.zoo.loading import AskedModel, find_for_stage
from tasks.asking import Material, ask_all, load_material, metrics_of, predictions, start_engine
from tasks.baseline import clip_predictions
from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main


def robustness(context: Context, name: str) -> dict[str, float]:
    """Ask the model `name`; raises ValueError when robustness.models has no such entry."""
    settings, paths = context.params.robustness, context.params.paths
    if name not in settings.models:
        raise ValueError(
            f"robustness.models has no {name}; it has {', '.join(settings.models) or 'none'}"
        )
    model = find_for_stage(Path(settings.models[name].model), context.home, context.stage)
    if model.kind == "clip" and settings.setting == "open":
        raise ValueError(
            f"robustness.models.{name} is a CLIP model, which answers closed questions alone; set "
            "robustness.setting to closed, or take it out"
        )
    material = load_material(context)
    questions = choose_questions(
        material.questions, settings.setting, settings.images_per_class, context.params.seed
    )
    rows = _ask(context, name, model, material, questions)
    # The work has the name of its stage, a model that of the settings.
    write_jsonl(
        paths.predictions / f"{context.stage}.jsonl", [replace(row, model=name) for row in rows]
    )
    measured = metrics_of(rows)
    return {key.replace("predict/", "robustness/"): value for key, value in measured.items()}


def _ask(
    context: Context,
    name: str,
    model: AskedModel,
    material: Material,
    questions: Sequence[Question],
) -> list[Prediction]:
    """A row per question and copy: the clean ones first, then corruption by corruption."""
    settings, seed = context.params.robustness, context.params.seed
    cells = all_cells(settings.corruptions, settings.severities)
    shown = show_corrupted(material.shown, [row.image_id for row in questions], cells, seed)
    if model.kind == "clip":
        copies = corrupt_questions(questions, cells)
        records = copy_records(copies, material.images, shown)
        material = replace(material, questions=copies, images=records, shown=shown)
        return clip_predictions(context, context.stage, model, material)
    entry = settings.models[name]
    asked = corrupt_asked(ask_all(context, material, questions, entry.strategy, model), cells)
    engine = start_engine(context, model, asked)
    return predictions(context, context.stage, engine, asked, shown, entry.max_tokens)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tasks.robustness NAME", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"robustness@{sys.argv[1]}", partial(robustness, name=sys.argv[1]))
