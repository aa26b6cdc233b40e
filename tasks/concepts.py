"""Stage `concepts`: captions of the SFT images, and the visual concepts they support.

    python -m tasks.concepts

Reads paths.splits and paths.images; writes paths.concepts.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from finer1.draws import derive_seed
from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.images import ImageArchive
from finer1.records import Concepts, ImageRecord, SplitRecord, read_jsonl, write_jsonl
from finer1.splits import labels_by_category
from finer1.teacher.captions import ClassKey, Described, select_for_images
from finer1.teacher.encoders import load_encoder
from finer1.teacher.prompts import CAPTION_INSTRUCTIONS, caption_prompt, concept_list_prompt
from tasks.stage import Context, main


def concepts(context: Context) -> dict[str, float]:
    """Ask the teacher, select, write; the metrics count captions and concepts."""
    params = context.params
    settings = params.concepts
    encoder = load_encoder(settings.encoder)
    splits = read_jsonl(params.paths.splits, SplitRecord)
    images = [row.image for row in splits if row.part == "sft"]
    engine = load_engine(
        settings.engine,
        EngineSettings(
            model=None,
            labels=labels_by_category(splits),
            device=params.runtime.device,
            server=context.server,
            api_key=context.api_key,
        ),
    )
    store = GenerationStore(context.store, params.runtime.batch_size)
    requests = caption_requests(images, ImageArchive(params.paths.images), params.seed)
    sampling = Sampling(
        settings.captions_per_instruction, settings.temperature, 1.0, settings.max_tokens
    )
    samples = store.generate(engine, requests, sampling, progress="captions")
    step = len(CAPTION_INSTRUCTIONS)
    described = [
        Described(image, _texts(samples[place * step : (place + 1) * step]))
        for place, image in enumerate(images)
    ]
    lists: dict[ClassKey, str] = {}
    if settings.candidates == "class_list":
        classes = sorted({(image.category, image.label) for image in images})
        asked = [Request(concept_list_prompt(*key), seed=params.seed) for key in classes]
        answers = store.generate(engine, asked, replace(sampling, n=1), progress="concept lists")
        lists = {key: group[0].text for key, group in zip(classes, answers, strict=True)}
    rows = select_for_images(described, lists, encoder, settings, params.seed)
    write_jsonl(params.paths.concepts, rows)
    _log_rows(context, rows)
    return _metrics(rows)


def caption_requests(images: list[ImageRecord], archive: ImageArchive, seed: int) -> list[Request]:
    """For each image a request per instruction: every image meets every instruction."""
    requests = []
    for image in images:
        picture = archive.read(image.id)
        for instruction in range(len(CAPTION_INSTRUCTIONS)):
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
    return tuple(sample.text.strip() for group in groups for sample in group)


def _log_rows(context: Context, rows: list[Concepts]) -> None:
    context.log_table(
        "concepts",
        [
            {
                "image": row.image_id,
                "label": row.label,
                "concepts": "; ".join(row.concepts),
                "best_score": row.scores[0] if row.scores else "",
                "caption": row.captions[0],
            }
            for row in rows
        ],
    )
    without = [row.image_id for row in rows if not row.concepts]
    if without:
        logging.getLogger(__name__).warning(
            "no candidate concept for %d images, the first is %s", len(without), without[0]
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


if __name__ == "__main__":
    main("concepts", concepts)
