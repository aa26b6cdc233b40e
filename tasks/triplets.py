"""Stage `triplets`: positive and nearest-negative images for every anchor.

    python -m tasks.triplets

Reads paths.base, paths.splits and paths.images; writes paths.triplets and a contact sheet,
triplets.jpg in paths.logs. Anchors, positives and negatives are seen training images of part
`tapo` only, never an unseen sub-category. Embeddings are kept in the store.
"""

import io
import random
from dataclasses import asdict
from typing import TYPE_CHECKING

from PIL import Image

from finer1.draws import derive_seed
from finer1.files import write_atomic
from finer1.images import ImageArchive
from finer1.records import ClassKey, ImageRecord, SplitRecord, Triplet, read_jsonl, write_jsonl
from finer1.separation import check_triplets
from tasks.stage import Context, main

if TYPE_CHECKING:
    import torch

    from finer1.embeddings import EmbeddingStore
    from finer1.tapo.triplets import Mined


def mine(context: Context) -> dict[str, float]:
    """Write a triplet per anchor and show some of them."""
    from finer1.embeddings import EmbeddingStore
    from finer1.encoders.named import load_encoder
    from finer1.tapo.triplet_sheet import choose_rows, draw_triplets
    from finer1.tapo.triplets import mine_triplets

    params, paths = context.params, context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    images = [row.image for row in splits if row.part == "tapo" and row.seen]
    if not images:
        raise ValueError(f"{paths.splits} holds no seen image of part tapo; raise split.tapo_shots")
    archive = ImageArchive(paths.images)
    store = EmbeddingStore(context.store / "embeddings", context.is_live)
    encoder = load_encoder(params.triplets.encoder, paths.base, context.home, params.runtime.device)
    embeddings = store.embed(encoder, images, archive.read, encoder.name)
    generator = random.Random(derive_seed(params.seed, "triplets"))
    mined = mine_triplets(images, embeddings, params.triplets, encoder.sha256, generator)
    counts = check_triplets(mined.triplets, splits, str(paths.triplets))
    write_jsonl(paths.triplets, mined.triplets)
    by_id = {image.id: row for image, row in zip(images, embeddings, strict=True)}
    sheet = draw_triplets(choose_rows(mined.triplets), by_id, archive.read)
    context.log_image("triplets", sheet, 0)
    write_atomic(paths.logs / "triplets.jpg", _jpeg(sheet))
    metrics = counts | _metrics(images, mined, params.triplets.negative)
    if encoder.name != "colour_texture":
        metrics |= _agreement(context, store, images, embeddings, archive)
    return metrics


def _metrics(images: list[ImageRecord], mined: "Mined", negative: str) -> dict[str, float]:
    records = {image.id: image for image in images}
    classes: dict[ClassKey, Triplet] = {records[t.anchor].class_key: t for t in mined.triplets}
    pairs = [(records[t.anchor].group, records[t.negatives[0]].group) for t in classes.values()]
    known = [own == other for own, other in pairs if own and other]
    metrics = {
        "triplets/classes": len(classes),
        "triplets/similarity": sum(t.similarity for t in classes.values()) / len(classes),
    }
    if known:
        metrics["triplets/negative_in_group"] = sum(known) / len(known)
    if negative == "siblings":
        metrics["triplets/classes_with_too_few_siblings"] = len(mined.too_few_siblings)
    return metrics


def _agreement(
    context: Context,
    store: "EmbeddingStore",
    images: list[ImageRecord],
    embeddings: "torch.Tensor",
    archive: ImageArchive,
) -> dict[str, float]:
    """How far the encoder and the baseline of colour and texture agree, with a table.

    The baseline costs about 4 ms per image and core, once.
    """
    from finer1.encoders.colour_texture import colour_texture_encoder
    from finer1.tapo.agreement import compare_encoders

    baseline = colour_texture_encoder()
    other = store.embed(baseline, images, archive.read, baseline.name)
    rows = compare_encoders(images, embeddings, other)
    context.log_table("agreement", [asdict(row) for row in rows])
    metrics = {}
    for name, field in (
        ("nearest", "same_nearest"),
        ("chance", "chance"),
        ("spearman", "spearman"),
        ("in_group", "in_group"),
        ("baseline_in_group", "baseline_in_group"),
    ):
        known = [(getattr(row, field), row.classes) for row in rows]
        known = [(value, weight) for value, weight in known if value is not None]
        if known:
            total = sum(weight for _, weight in known)
            metrics[f"triplets/agreement_{name}"] = sum(v * w for v, w in known) / total
    return metrics


def _jpeg(sheet: Image.Image) -> bytes:
    with io.BytesIO() as buffer:
        sheet.save(buffer, "JPEG", quality=80, optimize=True)
        return buffer.getvalue()


if __name__ == "__main__":
    main("triplets", mine)
