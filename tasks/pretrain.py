"""Stage `pretrain@<name>`: a base model of the embedded world, made from nothing.

    python -m tasks.pretrain NAME

Makes what the entry of params.pretrain says: a recipe, a taxonomy and a seed; writes the folder
`<paths.bases>/<name>`, which a run uses by `paths.base`. Its metrics are what the base can do, as
shares; its model card says them, too.
"""

import re
import sys
from functools import partial

from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main


def make(context: Context, name: str) -> dict[str, float]:
    """Make the base `name`; raises ValueError when pretrain.models has no such entry."""
    models = context.params.pretrain.models
    if name not in models:
        raise ValueError(f"pretrain.models has no {name}; it has {', '.join(models) or 'none'}")
    from finer1.world.pretrain import pretrain

    entry = models[name]
    out = context.params.paths.bases / name
    figures = pretrain(entry.config, entry.taxonomy, entry.seed, out, context.resume / "work")
    return {metric_name(figure): value.share for figure, value in figures.items()}


def metric_name(figure: str) -> str:
    """`S1, each attribute, nuisance 0.5` as `pretrain/s1_each_attribute_nuisance_0.5`."""
    return f"pretrain/{re.sub(r'[^a-z0-9.]+', '_', figure.lower())}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tasks.pretrain NAME", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"pretrain@{sys.argv[1]}", partial(make, name=sys.argv[1]))
