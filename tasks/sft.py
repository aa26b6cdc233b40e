"""Stage `sft`: full fine-tuning of the base on the reviewed rationales; with sft.steps 0, none.

    python -m tasks.sft

Reads paths.base, paths.reviewed, paths.splits, paths.index and paths.images; writes the folder
paths.sft.
"""

import logging
from collections.abc import Sequence

from finer1.images import ImageArchive
from finer1.prompts import (
    SYSTEM_PROMPTS,
    answer_completion,
    free_completion,
    prose_completion,
    rationale_completion,
    sections_text,
)
from finer1.records import ImageRecord, Rationale, SplitRecord, read_jsonl
from finer1.separation import check_rationales, unseen_named
from tasks.stage import Context, main

_EXAMPLES_SHOWN = 12
"""Rows of the table `examples`."""


def train(context: Context) -> dict[str, float]:
    """Train stage 1 on one example per rationale, or keep the base where sft.steps is 0.

    The metrics also say what the rationales name.
    """
    params, paths = context.params, context.params.paths
    rationales = read_jsonl(paths.reviewed, Rationale)
    if params.sft.steps == 0:
        return _keep_base(context, len(rationales))
    if not rationales:
        raise ValueError(f"{paths.reviewed} holds no rationale; look at {paths.cot_yield}")
    splits = read_jsonl(paths.splits, SplitRecord)
    index = read_jsonl(paths.index, ImageRecord)
    counts = check_rationales(rationales, splits, index, str(paths.reviewed))
    metrics = _train(context, rationales)
    # Where the target is the answer alone, no option is learnt.
    naming = unseen_named([] if params.sft.target == "answer" else rationales, splits)
    return {
        **metrics,
        **counts,
        "sft/rationales_naming_unseen": naming.rationales,
        "sft/unseen_named": len(naming.labels),
    }


def _keep_base(context: Context, num_rationales: int) -> dict[str, float]:
    from finer1.policy.folder import copy_policy, load_processor
    from finer1.policy.image_bounds import bound_images
    from finer1.policy.processes import join_world

    paths = context.params.paths
    if not join_world(context.params.runtime.device).is_main:
        return {}
    bounds = context.params.sft.min_pixels, context.params.sft.max_pixels
    bound_images(load_processor(paths.base), *bounds)  # refuses a base that has none
    copy_policy(paths.base, paths.sft, bounds)
    logging.getLogger(__name__).info(
        "sft.steps is 0: %s is a copy of %s, and %d rationales train nothing",
        *(paths.sft, paths.base, num_rationales),
    )
    return {"train/steps": 0}


def _train(context: Context, rationales: Sequence[Rationale]) -> dict[str, float]:
    from finer1.sft import SftExample, train_sft

    params, paths = context.params, context.params.paths
    archive = ImageArchive(paths.images)
    examples = [
        SftExample(
            image=archive.read(rationale.image_id),
            question=rationale.question,
            completion=completion(rationale, params.sft.target),
        )
        for rationale in rationales
    ]
    context.log_table(
        "examples",
        [
            {"image": item.image, "question": item.question, "completion": item.completion}
            for item in examples[:_EXAMPLES_SHOWN]
        ],
    )
    return train_sft(
        base=paths.base,
        examples=examples,
        settings=params.sft,
        runtime=params.runtime,
        system_prompt=SYSTEM_PROMPTS[params.prompt.system],
        seed=params.seed,
        output=paths.sft,
        resume=context.resume,
        log=context.log,
    )


def completion(rationale: Rationale, target: str) -> str:
    """The text to be learnt: rationale (sections, prose, free) and answer, or the answer alone.

    A rationale with a text of its own, a released one or one that passed no filter, is learnt as it
    was written.
    """
    if target == "answer":
        return answer_completion(rationale.label)
    if rationale.completion is not None:
        return rationale.completion
    parts = (rationale.analysis, rationale.options, rationale.comparison, rationale.prediction)
    if target == "free":
        return free_completion(
            rationale.analysis, rationale.comparison, rationale.prediction, rationale.label
        )
    if target == "prose":
        return prose_completion(*parts, rationale.label)
    return rationale_completion(sections_text(*parts), rationale.label)


if __name__ == "__main__":
    main("sft", train)
