"""Stage `baseline@<name>`: the completions of a model of predict.models for every question.

    python -m tasks.baseline NAME

Reads paths.questions, paths.splits, paths.images and the model, which is a folder, or an entry of
the zoo with its weights on this disk or behind a server; writes `<paths.predictions>/<name>.jsonl`.
It shares the section `predict` with the run's own models, so that all are asked alike. A CLIP
model answers the closed questions alone.
"""

import sys
from functools import partial
from pathlib import Path

from finer1.records import Prediction, write_jsonl
from finer1.zoo.loading import AskedModel, find_for_stage
from tasks.asking import (
    Material,
    ask_all,
    load_material,
    log_samples,
    metrics_of,
    predictions,
    start_engine,
)
from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main


def baseline(context: Context, name: str) -> dict[str, float]:
    """Ask the model `name`; raises ValueError when predict.models has no such entry."""
    models = context.params.predict.models
    if name not in models:
        raise ValueError(f"predict.models has no {name}; it has {', '.join(models) or 'none'}")
    entry = models[name]
    model = find_for_stage(Path(entry.model), context.home, context.stage)
    material = load_material(context)
    if model.kind == "clip":
        rows = clip_predictions(context, name, model, material)
    else:
        asked = ask_all(context, material, material.questions, entry.strategy, model)
        engine = start_engine(context, model, asked)
        rows = predictions(context, name, engine, asked, material.shown, entry.max_tokens)
    write_jsonl(context.params.paths.predictions / f"{name}.jsonl", rows)
    log_samples(context, rows, material)
    return metrics_of(rows)


def clip_predictions(
    context: Context, name: str, model: AskedModel, material: Material
) -> list[Prediction]:
    """A row per closed question of the material, by a CLIP model.

    The images' embeddings are those of the whole project's store.
    """
    from finer1.embeddings import EmbeddingStore
    from finer1.encoders.open_clip import load_open_clip
    from finer1.evaluation.clip import clip_rows

    closed = [question for question in material.questions if question.setting == "closed"]
    assert model.name is not None
    encoder = load_open_clip(model.name, context.home, context.params.runtime.device)
    store = EmbeddingStore(context.store / "embeddings", context.is_live)
    return clip_rows(
        name,
        model,
        closed,
        material.images,
        encoder,
        lambda encoder, images: store.embed(
            encoder, images, material.shown.read, f"predict {name}"
        ),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tasks.baseline NAME", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"baseline@{sys.argv[1]}", partial(baseline, name=sys.argv[1]))
