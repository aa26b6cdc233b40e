"""Stage `sft`: full fine-tuning of the base on the reviewed rationales.

    python -m tasks.sft

Reads paths.base, paths.reviewed, paths.splits, paths.index and paths.images; writes the folder
paths.sft.
"""

from finer1.images import ImageArchive
from finer1.prompts import (
    SYSTEM_PROMPTS,
    answer_completion,
    prose_completion,
    rationale_completion,
    sections_text,
)
from finer1.records import ImageRecord, Rationale, SplitRecord, read_jsonl
from finer1.separation import check_rationales, unseen_named
from tasks.stage import Context, main


def train(context: Context) -> dict[str, float]:
    """Train stage 1 on one example per rationale; the metrics also say what those name."""
    from finer1.sft import SftExample, train_sft

    params, paths = context.params, context.params.paths
    rationales = read_jsonl(paths.reviewed, Rationale)
    if not rationales:
        raise ValueError(f"{paths.reviewed} holds no rationale; look at {paths.cot_yield}")
    splits = read_jsonl(paths.splits, SplitRecord)
    index = read_jsonl(paths.index, ImageRecord)
    counts = check_rationales(rationales, splits, index, str(paths.reviewed))
    archive = ImageArchive(paths.images)
    examples = [
        SftExample(
            image=archive.read(rationale.image_id),
            question=rationale.question,
            completion=completion(rationale, params.sft.target),
        )
        for rationale in rationales
    ]
    metrics = train_sft(
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
    # Where the target is the answer alone, no option is learnt.
    naming = unseen_named([] if params.sft.target == "answer" else rationales, splits)
    return {
        **metrics,
        **counts,
        "sft/rationales_naming_unseen": naming.rationales,
        "sft/unseen_named": len(naming.labels),
    }


def completion(rationale: Rationale, target: str) -> str:
    """The text to be learnt: rationale (sections or prose) and answer, or the answer alone.

    A released rationale is prose in either case, as released.
    """
    if target == "answer":
        return answer_completion(rationale.label)
    if rationale.completion is not None:
        return rationale.completion
    parts = (rationale.analysis, rationale.options, rationale.comparison, rationale.prediction)
    if target == "prose":
        return prose_completion(*parts, rationale.label)
    return rationale_completion(sections_text(*parts), rationale.label)


if __name__ == "__main__":
    main("sft", train)
