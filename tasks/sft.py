"""Stage `sft`: full fine-tuning of the base on the reviewed rationales.

    python -m tasks.sft

Reads paths.base, paths.reviewed, paths.index and paths.images; writes the folder paths.sft.
"""

from finer1.images import ImageArchive
from finer1.prompts import (
    SYSTEM_PROMPTS,
    answer_completion,
    rationale_completion,
    sections_text,
)
from finer1.records import ImageRecord, Rationale, read_jsonl
from tasks.stage import Context, main


def train(context: Context) -> dict[str, float]:
    """Train stage 1 on one example per rationale."""
    from finer1.sft import SftExample, train_sft

    params, paths = context.params, context.params.paths
    rationales = read_jsonl(paths.reviewed, Rationale)
    if not rationales:
        raise ValueError(f"{paths.reviewed} holds no rationale; look at {paths.cot_yield}")
    images = {record.id: record for record in read_jsonl(paths.index, ImageRecord)}
    archive = ImageArchive(paths.images)
    examples = [
        SftExample(
            image=archive.read(images[rationale.image_id].member),
            question=rationale.question,
            completion=completion(rationale, params.sft.target),
        )
        for rationale in rationales
    ]
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
    """The text to be learnt: rationale and answer, or the answer alone."""
    if target == "answer":
        return answer_completion(rationale.label)
    sections = sections_text(
        rationale.analysis, rationale.options, rationale.comparison, rationale.prediction
    )
    return rationale_completion(sections, rationale.label)


if __name__ == "__main__":
    main("sft", train)
