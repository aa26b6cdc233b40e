"""Stage `analysis@<name>`: what the hidden states of a model of params.analysis hold.

    python -m tasks.analysis NAME

Reads paths.index, paths.images, paths.taxonomy and the model; writes
`<paths.predictions>/analysis@<name>.json` (finer1/analysis/results.py) and the folder
`<paths.predictions>/analysis@<name>` with the two figures as PNG and the arrays behind them,
arrays.safetensors. Features of images are kept in the store.
"""

import io
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.taxonomy import Taxonomy, group_taxonomy, read_taxonomy
from finer1.files import write_atomic
from finer1.images import ImageArchive
from finer1.progress import Progress
from finer1.prompts import SYSTEM_PROMPTS
from finer1.records import ImageRecord, read_jsonl
from finer1.zoo.loading import find_for_stage
from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main

if TYPE_CHECKING:
    import torch

    from finer1.analysis.features import Subject
    from finer1.analysis.results import (
        Analysis,
        ProbeFigures,
        SeparabilityFigures,
        SimilarityFigures,
    )
    from finer1.analysis.separability import Statements

_STATES = "statement_states"
_MEANS = "class_image_means"


def analysis(context: Context, name: str) -> dict[str, float]:
    """Measure the model `name`; raises ValueError when analysis.models has no such entry."""
    settings, paths = context.params.analysis, context.params.paths
    if name not in settings.models:
        raise ValueError(
            f"analysis.models has no {name}; it has {', '.join(settings.models) or 'none'}"
        )
    found = find_for_stage(Path(settings.models[name].model), context.home, context.stage)
    images = read_jsonl(paths.index, ImageRecord)
    taxonomy = _taxonomy(context, images)

    from finer1.analysis.choosing import class_name
    from finer1.analysis.features import load_subject
    from finer1.analysis.results import Analysis, write_analysis

    statements = _statements(context, images)
    system = SYSTEM_PROMPTS[context.params.prompt.system]
    subject = load_subject(found, context.home, context.params.runtime.device, system)
    arrays: dict[str, torch.Tensor] = {}
    probe, tested = _probe(context, subject, images)
    result = Analysis(
        model=settings.models[name].model,
        identity=subject.identity,
        test_ids=tuple(image.id for image in tested),
        test_classes=tuple(class_name(image.class_key) for image in tested),
        probe=probe,
        similarity=_similarity(context, subject, images, taxonomy, arrays),
        separability=_separability(context, subject, statements, arrays),
    )
    write_analysis(paths.predictions / f"{context.stage}.json", result)
    _write_folder(context, result, arrays)
    return _metrics(context, result)


def _taxonomy(context: Context, images: list[ImageRecord]) -> Taxonomy:
    """The levels of paths.taxonomy, or the groups of the images' records where it has no row."""
    labels: dict[str, set[str]] = {}
    for image in images:
        labels.setdefault(image.dataset, set()).add(image.label)
    return read_taxonomy(context.params.paths.taxonomy, labels) or group_taxonomy(images)


def _bootstrap(context: Context) -> Bootstrap:
    score = context.params.score
    return Bootstrap(score.bootstrap_samples, score.confidence, context.params.seed)


def _embed(
    context: Context, subject: "Subject", images: list[ImageRecord], every_layer: bool
) -> "torch.Tensor":
    from finer1.analysis.features import embed_images
    from finer1.embeddings import EmbeddingStore

    return embed_images(
        subject,
        images,
        ImageArchive(context.params.paths.images).read,
        EmbeddingStore(context.store / "embeddings", context.is_live),
        context.params.analysis.prompt,
        every_layer,
        context.stage,
    )


def _probe(
    context: Context, subject: "Subject", images: list[ImageRecord]
) -> "tuple[ProbeFigures, list[ImageRecord]]":
    """The probe, and the images that it was tested on."""
    from finer1.analysis.choosing import probe_sides
    from finer1.analysis.measuring import measure_probe

    settings = context.params.analysis
    sides = probe_sides(images, settings.probe, context.params.seed)
    parts = (sides.train, sides.validation, sides.test)
    features = _embed(context, subject, [image for part in parts for image in part], False)
    train, validation, test = features.split([len(part) for part in parts])
    figures = measure_probe(sides, (train, validation, test), settings, _bootstrap(context))
    return figures, sides.test


def _similarity(
    context: Context,
    subject: "Subject",
    images: list[ImageRecord],
    taxonomy: Taxonomy,
    arrays: "dict[str, torch.Tensor]",
) -> "SimilarityFigures | None":
    import torch

    from finer1.analysis.choosing import choose_test_images
    from finer1.analysis.measuring import measure_similarity
    from finer1.analysis.taxonomy_similarity import class_means

    settings = context.params.analysis
    chosen = choose_test_images(images, settings.similarity.images_per_class, context.params.seed)
    features = _embed(context, subject, chosen, True)
    means = class_means([image.class_key for image in chosen], features)
    arrays[_MEANS] = torch.stack([means[key] for key in sorted(means)])
    return measure_similarity(chosen, features, taxonomy, settings, _bootstrap(context))


def _statements(context: Context, images: list[ImageRecord]) -> "Statements":
    from finer1.analysis.choosing import choose_test_images
    from finer1.analysis.separability import choose_statements

    settings, seed = context.params.analysis.separability, context.params.seed
    chosen = choose_test_images(images, settings.images_per_class, seed)
    return choose_statements(chosen, settings.folds, seed)


def _separability(
    context: Context,
    subject: "Subject",
    statements: "Statements",
    arrays: "dict[str, torch.Tensor]",
) -> "SeparabilityFigures":
    from finer1.analysis.features import embed_statements
    from finer1.analysis.measuring import measure_separability

    settings, chosen = context.params.analysis, statements.images
    names = [[image.label for image in chosen], statements.false_names]
    asked = [
        (
            image.id,
            settings.prompt.format(category=image.category),
            settings.separability.statement.format(name=label),
        )
        for labels in names
        for image, label in zip(chosen, labels, strict=True)
    ]
    bar = Progress(context.stage, len(asked), "statements", is_live=context.is_live)
    read = ImageArchive(context.params.paths.images).read
    states = embed_statements(subject, asked, read, bar).unflatten(0, (2, -1))
    arrays[_STATES] = states.contiguous()
    return measure_separability(statements, states, settings, _bootstrap(context))


def _write_folder(context: Context, result: "Analysis", arrays: "dict[str, torch.Tensor]") -> None:
    """The figures, as PNG and in the tracked run, and the arrays behind them."""
    from safetensors.torch import save

    from finer1.analysis.drawing import PAPER, Curve, as_picture, layers_figure, names_figure

    folder = context.params.paths.predictions / context.stage
    figures = {"names": names_figure(result.separability, PAPER)}
    if result.similarity is not None:
        figures["layers"] = layers_figure([Curve(result.similarity.layers, PAPER.true)], PAPER)
    for title, figure in figures.items():
        picture = as_picture(figure)
        context.log_image(title, picture, 0)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        write_atomic(folder / f"{title}.png", buffer.getvalue())
    write_atomic(folder / "arrays.safetensors", save(arrays))


def _metrics(context: Context, result: "Analysis") -> dict[str, float]:
    probe, names = result.probe, result.separability
    metrics: dict[str, float] = {
        "analysis/probe_images": len(result.test_ids),
        "analysis/probe_left_out": probe.left_out,
        "analysis/separability": names.accuracy.value,
        "analysis/separability_low": names.accuracy.low,
        "analysis/separability_high": names.accuracy.high,
        "analysis/separability_chance": names.chance,
        "analysis/separability_p": names.p,
        "analysis/separability_plane": names.plane.value,
        "analysis/separability_left_out": names.left_out,
    }
    for rule in ("best_on_test", "last", "best_on_validation"):
        found = getattr(probe, rule)
        metrics[f"analysis/probe_{rule}"] = found.accuracy.value
        metrics[f"analysis/probe_{rule}_low"] = found.accuracy.low
        metrics[f"analysis/probe_{rule}_high"] = found.accuracy.high
        metrics[f"analysis/probe_{rule}_epoch"] = found.epoch
    if result.similarity is None:
        return metrics | {"analysis/similarity_targets": 0}
    for place, layer in enumerate(result.similarity.layers):
        context.log({"analysis/similarity_by_layer": layer.delta}, place)
    last = result.similarity.layers[-1]
    metrics |= {
        "analysis/similarity_targets": len(result.similarity.targets),
        "analysis/similarity_left_out": result.similarity.left_out,
        "analysis/similarity_delta": last.delta,
        "analysis/similarity_delta_low": last.low,
        "analysis/similarity_delta_high": last.high,
        "analysis/similarity_permutation_p": last.permutation_p,
    }
    if last.t is not None and last.p is not None:
        metrics |= {"analysis/similarity_t": last.t, "analysis/similarity_p": last.p}
    return metrics


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tasks.analysis NAME", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"analysis@{sys.argv[1]}", partial(analysis, name=sys.argv[1]))
