"""Stage `triplets`: positive and nearest-negative images for every anchor.

    python -m tasks.triplets

Reads paths.base, paths.splits and paths.images; writes paths.triplets. Anchors, positives and
negatives are seen training images of part `tapo` only, never an unseen sub-category.
"""

import random

from PIL import Image

from finer1.draws import derive_seed
from finer1.images import ImageArchive
from finer1.records import ImageRecord, SplitRecord, Triplet, read_jsonl, write_jsonl
from tasks.stage import Context, main

SHEET_ROWS = 12
SHEET_SIDE = 128


def mine(context: Context) -> dict[str, float]:
    """Write a triplet per anchor and show some of them."""
    from finer1.encoders import load_encoder
    from finer1.tapo.triplets import mine_triplets

    params, paths = context.params, context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    images = [row.image for row in splits if row.part == "tapo" and row.seen]
    if not images:
        raise ValueError(f"{paths.splits} holds no seen image of part tapo; raise split.tapo_shots")
    archive = ImageArchive(paths.images)
    encode = load_encoder(params.triplets.encoder, paths.base, params.runtime.device)
    embeddings = encode([archive.read(image.member) for image in images])
    generator = random.Random(derive_seed(params.seed, "triplets"))
    triplets = mine_triplets(images, embeddings, params.triplets.negative, generator)
    write_jsonl(paths.triplets, triplets)
    members = {image.id: image.member for image in images}
    context.log_image("triplets", contact_sheet(triplets, members, archive), 0)
    return _metrics(images, triplets)


def _metrics(images: list[ImageRecord], triplets: list[Triplet]) -> dict[str, float]:
    groups = {image.id: (image.category, image.group) for image in images}
    classes = {(triplet.category, triplet.label): triplet for triplet in triplets}
    pairs = [(groups[t.anchor], groups[t.negatives[0]]) for t in classes.values()]
    known = [(own, other) for own, other in pairs if own[1] and other[1]]
    metrics = {
        "triplets/anchors": len(triplets),
        "triplets/classes": len(classes),
        "triplets/similarity": sum(t.similarity for t in classes.values()) / len(classes),
    }
    if known:
        metrics["triplets/negative_in_group"] = sum(a == b for a, b in known) / len(known)
    return metrics


def contact_sheet(
    triplets: list[Triplet], members: dict[str, str], archive: ImageArchive
) -> Image.Image:
    """Rows of anchor, first positive and first negative, spread evenly over the triplets."""
    rows = triplets[:: max(1, len(triplets) // SHEET_ROWS)][:SHEET_ROWS]
    sheet = Image.new("RGB", (3 * SHEET_SIDE, len(rows) * SHEET_SIDE), "white")
    for row, triplet in enumerate(rows):
        names = (triplet.anchor, triplet.positives[0], triplet.negatives[0])
        for column, name in enumerate(names):
            image = archive.read(members[name]).resize((SHEET_SIDE, SHEET_SIDE))
            sheet.paste(image, (column * SHEET_SIDE, row * SHEET_SIDE))
    return sheet


if __name__ == "__main__":
    main("triplets", mine)
