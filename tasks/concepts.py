"""Stage `concepts`: captions of the SFT images, and the visual concepts they support.

    python -m tasks.concepts

Reads paths.splits and paths.images; writes paths.concepts.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from finer1.draws import derive_seed
from finer1.engines.interface import (
    EngineSettings,
    Request,
    Sample,
    Sampling,
    load_engine,
)
from finer1.engines.store import GenerationStore
from finer1.images import ImageArchive
from finer1.records import Concepts, ImageRecord, SplitRecord, read_jsonl, write_jsonl
from finer1.splits import labels_by_category
from finer1.teacher.caption_prompts import NUM_INSTRUCTIONS, caption_prompt
from finer1.teacher.captions import Described, LabelKey, candidate_concepts, select_for_images
from finer1.teacher.concept_quality import measure_selection
from finer1.teacher.encoders import load_encoder
from finer1.teacher.prompts import concept_list_prompt
from finer1.world.teacher import concept_phrases
from tasks.shards import engine_shards
from tasks.stage import Context, main


def concepts(context: Context) -> dict[str, float]:
    """Ask the teacher, select, write; the metrics count captions and concepts.

    For images of the embedded world, where the truth is known, they also say how good it is.
    """
    params = context.params
    settings = params.concepts
    encoder = load_encoder(settings.encoder, context.home, params.runtime.device)
    splits = read_jsonl(params.paths.splits, SplitRecord)
    images = [row.image for row in splits if row.part == "sft"]
    archive = ImageArchive(params.paths.images)
    described, answers = _ask_teacher(context, images, archive, labels_by_category(splits))
    lists = {key: _whole_lines(key, answer) for key, answer in answers.items()}
    candidates = candidate_concepts(described, lists, settings)
    rows = select_for_images(described, candidates, encoder, settings, params.seed)
    write_jsonl(params.paths.concepts, rows)
    _log_rows(context, rows)
    num_cut = sum(answer.finish_reason == "length" for answer in answers.values())
    figures = _metrics(rows) | {"concepts/lists_cut": num_cut}
    return figures | _quality(images, archive, rows, candidates)


def _ask_teacher(
    context: Context,
    images: list[ImageRecord],
    archive: ImageArchive,
    labels: dict[str, tuple[str, ...]],
) -> tuple[list[Described], dict[LabelKey, Sample]]:
    """The captions of each image, and each sub-category's list where lists are the candidates.

    labels: category -> all its sub-categories in this run.
    """
    params = context.params
    settings = params.concepts
    engine = load_engine(
        settings.engine,
        EngineSettings(
            model=None,
            labels=labels,
            device=params.runtime.device,
            server=context.server,
            api_key=context.api_key,
            teacher=params.runtime.teacher,
            home=context.home,
            shards=engine_shards(
                params.runtime, settings.engine, params.runtime.teacher.tensor_parallel
            ),
        ),
    )
    store = GenerationStore(context.store, params.runtime.batch_size)
    sampling = Sampling(
        settings.captions_per_instruction, settings.temperature, 1.0, settings.max_tokens
    )
    requests = caption_requests(images, archive, params.seed)
    samples = store.generate(engine, requests, sampling, progress="captions")
    described = [
        Described(image, _texts(samples[place : place + NUM_INSTRUCTIONS]))
        for image, place in zip(images, range(0, len(samples), NUM_INSTRUCTIONS), strict=True)
    ]
    if settings.candidates == "captions":
        return described, {}
    classes = sorted({(image.category, image.label) for image in images})
    asked = [Request(concept_list_prompt(*key), seed=params.seed) for key in classes]
    answers = store.generate(engine, asked, replace(sampling, n=1), progress="concept lists")
    return described, {key: group[0] for key, group in zip(classes, answers, strict=True)}


def _whole_lines(key: LabelKey, answer: Sample) -> str:
    """The list of a sub-category, less the line in whose middle it was cut."""
    if answer.finish_reason == "stop":
        return answer.text
    logging.getLogger(__name__).warning(
        "the list of concepts of %s (%s) was cut; its last line is dropped. If it is short, raise "
        "concepts.max_tokens",
        key[1],
        key[0],
    )
    return answer.text.rpartition("\n")[0]


def caption_requests(images: list[ImageRecord], archive: ImageArchive, seed: int) -> list[Request]:
    """For each image a request per instruction: every image meets every instruction."""
    requests = []
    for image in images:
        picture = archive.read(image.id)
        for instruction in range(NUM_INSTRUCTIONS):
            requests.append(
                Request(
                    user=caption_prompt(image.category, instruction),
                    images=(picture,),
                    image_hashes=(image.sha256,),
                    seed=derive_seed(seed, "caption", image.id, str(instruction)),
                )
            )
    return requests


def _texts(groups: Sequence[Sequence[Sample]]) -> tuple[str, ...]:
    """The captions; an empty answer says nothing about the image."""
    texts = (sample.text.strip() for group in groups for sample in group)
    return tuple(text for text in texts if text)


def _log_rows(context: Context, rows: list[Concepts]) -> None:
    context.log_table(
        "concepts",
        [
            {
                "image": row.image_id,
                "label": row.label,
                "concepts": "; ".join(row.concepts),
                "best_score": row.scores[0] if row.scores else "",
                "caption": row.captions[0] if row.captions else "",
            }
            for row in rows
        ],
    )
    without = [row.image_id for row in rows if not row.concepts]
    if without:
        logging.getLogger(__name__).warning(
            "no concepts for %d images: no captions or no candidates; the first is %s",
            len(without),
            without[0],
        )


def _metrics(rows: list[Concepts]) -> dict[str, float]:
    counts = [len(row.concepts) for row in rows]
    scores = [score for row in rows for score in row.scores]
    return {
        "concepts/images": len(rows),
        "concepts/captions": sum(len(row.captions) for row in rows),
        "concepts/distinct_captions": len({text for row in rows for text in row.captions}),
        "concepts/per_image_mean": fmean(counts) if counts else 0.0,
        "concepts/per_image_min": min(counts, default=0),
        "concepts/per_image_max": max(counts, default=0),
        "concepts/images_without": sum(not count for count in counts),
        "concepts/score_mean": fmean(scores) if scores else 0.0,
    }


def _quality(
    images: Sequence[ImageRecord],
    archive: ImageArchive,
    rows: Sequence[Concepts],
    candidates: Sequence[Sequence[str]],
) -> dict[str, float]:
    """Precision and recall over the images of the embedded world; nothing where there is none."""
    known = [place for place, image in enumerate(images) if image.dataset == "world"]
    if not known:
        return {}
    truths = [
        concept_phrases(
            images[place].category, tuple(archive.read(images[place].id).info["attributes"].split())
        )
        for place in known
    ]
    return measure_selection(
        [rows[place] for place in known], [candidates[place] for place in known], truths
    )


if __name__ == "__main__":
    main("concepts", concepts)
