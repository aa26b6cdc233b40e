"""Stage `predict@<model>`: the completions of one of the run's own models for every question.

    python -m tasks.predict {base,sft,tapo}

Reads paths.questions, paths.splits, paths.images and the model's folder; writes
`<paths.predictions>/<model>.jsonl`. One load answers closed and open, seen and unseen questions,
and draws the completions of predict.votes.
"""

import sys
from functools import partial
from pathlib import Path

from finer1.evaluation_params import OWN_MODELS
from finer1.records import write_jsonl
from finer1.zoo.loading import AskedModel
from tasks.asking import (
    ask_all,
    load_material,
    log_samples,
    metrics_of,
    predictions,
    start_engine,
    with_votes,
)
from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main


def predict(context: Context, model: str) -> dict[str, float]:
    """Generate, or take from the store, one completion per question and some more for the votes."""
    paths, settings = context.params.paths, context.params.predict
    material = load_material(context)
    asked = ask_all(context, material, material.questions, settings.strategy, None)
    folder: Path = getattr(paths, model)
    own = AskedModel("chat", folder, str(folder), None, None)
    engine = start_engine(context, own, asked)
    rows = predictions(context, model, engine, asked, material.shown, None)
    if settings.votes.samples and model in settings.votes.models:
        rows = with_votes(context, rows, engine, asked, material)
    write_jsonl(paths.predictions / f"{model}.jsonl", rows)
    log_samples(context, rows, material)
    return metrics_of(rows)


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in OWN_MODELS:
        print(f"usage: python -m tasks.predict {{{','.join(OWN_MODELS)}}}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"predict@{name}", partial(predict, model=name))
