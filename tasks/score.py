"""Stage `score`: verdicts and metrics of base, sft, tapo and of all further models.

    python -m tasks.score

Reads paths.questions, paths.splits, paths.taxonomy and paths.predictions; writes paths.verdicts.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from finer1.evaluation.metrics import score_models, top_confusions
from finer1.evaluation.similarity import Similarity, answer_similarities, load_similarity
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.taxonomy import Taxonomy, group_taxonomy, read_taxonomy
from finer1.evaluation.verdicts import MODELS, Verdict, judge_model
from finer1.records import Prediction, Question, SplitRecord, read_jsonl, write_jsonl
from finer1.robustness.scores import robustness_metrics
from tasks.stage import Context, main

LOGGED_CONFUSIONS = 20
ZERO_SHOT = "zero_shot"
"""Strategy of the models that choose among options and answer no open question."""


def score(context: Context) -> dict[str, float]:
    """Judge every completion; return all metrics and the level of their intervals."""
    params, paths = context.params, context.params.paths
    settings = params.score
    questions = read_jsonl(paths.questions, Question)
    taxonomy = _taxonomy(paths.taxonomy, paths.splits)  # refused before anything is encoded
    similarity = load_similarity(settings.encoder, context.home, params.runtime.device)
    verdicts = {
        model: _judge(questions, paths.predictions / f"{model}.jsonl", similarity)
        for model in (*MODELS, *params.predict.models)
    }
    write_jsonl(paths.verdicts, [row for rows in verdicts.values() for row in rows])
    _log(context, verdicts, similarity)
    bootstrap = Bootstrap(settings.bootstrap_samples, settings.confidence, params.seed)
    metrics = score_models(verdicts, bootstrap, taxonomy)
    for name in params.robustness.models:
        rows = read_jsonl(paths.predictions / f"robustness@{name}.jsonl", Prediction)
        metrics |= robustness_metrics(name, questions, rows, bootstrap)
    return {"confidence": settings.confidence, **metrics}


def _judge(questions: Sequence[Question], file: Path, similarity: Similarity) -> list[Verdict]:
    predictions = read_jsonl(file, Prediction)
    return judge_model(
        questions,
        predictions,
        str(file),
        answer_similarities(questions, predictions, similarity),
        may_skip_setting=all(row.strategy == ZERO_SHOT for row in predictions),
    )


def _taxonomy(file: Path, splits: Path) -> Taxonomy:
    """The file's levels; the groups of the images' records where it has no row."""
    images = [row.image for row in read_jsonl(splits, SplitRecord)]
    known: dict[str, set[str]] = defaultdict(set)
    for image in images:
        known[image.dataset].add(image.label)
    return read_taxonomy(file, known) or group_taxonomy(images)


def _class_rows(model: str, verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    """A row per sub-category and setting: how many questions, and how many answered exactly."""
    groups: dict[tuple[str, str, str, bool], list[bool]] = defaultdict(list)
    for row in verdicts:
        groups[row.category, row.label, row.setting, row.seen].append(row.is_correct)
    return [
        {
            "model": model,
            "category": category,
            "label": label,
            "setting": setting,
            "seen": seen,
            "questions": len(found),
            "accuracy": sum(found) / len(found),
        }
        for (category, label, setting, seen), found in sorted(groups.items())
    ]


def _log(
    context: Context, verdicts: Mapping[str, Sequence[Verdict]], similarity: Similarity
) -> None:
    """Log confusions, accuracy by class, and which encoder the similarities come from."""
    logging.getLogger(__name__).info("score.encoder is %s", similarity.name)
    encoder = similarity.encoder
    context.log_table(
        "similarity_encoder",
        [
            {
                "encoder": encoder.name,
                "content": encoder.identity,
                "knows": "spelling alone" if encoder.is_spelling else "meaning",
            }
        ],
    )
    context.log_table(
        "classes",
        [row for model, rows in verdicts.items() for row in _class_rows(model, rows)],
    )
    context.log_table(
        "confusions",
        [
            {
                "model": model,
                "category": category,
                "truth": truth,
                "answered": answered,
                "times": times,
            }
            for model, rows in verdicts.items()
            for (category, truth, answered), times in top_confusions(rows, LOGGED_CONFUSIONS)
        ],
    )


if __name__ == "__main__":
    main("score", score)
