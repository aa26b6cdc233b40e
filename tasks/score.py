"""Stage `score`: verdicts and metrics of base, sft and tapo.

    python -m tasks.score

Reads paths.questions and paths.predictions; writes paths.verdicts.
"""

from finer1.evaluation.metrics import score_models, top_confusions
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.verdicts import MODELS, judge_model
from finer1.records import Prediction, Question, read_jsonl, write_jsonl
from tasks.stage import Context, main

LOGGED_CONFUSIONS = 20


def score(context: Context) -> dict[str, float]:
    """Judge every completion; return all metrics and the level of their intervals."""
    paths, settings = context.params.paths, context.params.score
    questions = read_jsonl(paths.questions, Question)
    verdicts = {}
    for model in MODELS:
        file = paths.predictions / f"{model}.jsonl"
        verdicts[model] = judge_model(questions, read_jsonl(file, Prediction), str(file))
    write_jsonl(paths.verdicts, [row for model in MODELS for row in verdicts[model]])
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
            for model in MODELS
            for (category, truth, answered), times in top_confusions(
                verdicts[model], LOGGED_CONFUSIONS
            )
        ],
    )
    bootstrap = Bootstrap(settings.bootstrap_samples, settings.confidence, context.params.seed)
    return {"confidence": settings.confidence, **score_models(verdicts, bootstrap)}


if __name__ == "__main__":
    main("score", score)
