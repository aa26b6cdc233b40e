"""Stage `download`: the images of a dataset as one archive with an index.

    python -m tasks.download

Reads the dataset's folder (`finer1 run --root DIR` or FINER1_DATA_ROOT), where it needs one;
writes paths.images and paths.index.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from finer1.data_params import DownloadParams
from finer1.datasets.contact_sheet import contact_sheet
from finer1.datasets.interface import folder_layout, read_dataset
from finer1.files import sha256_folder
from finer1.images import decode_image, write_archive
from finer1.records import ImageRecord, write_jsonl
from tasks.stage import Context, main


def download(context: Context) -> dict[str, float]:
    """Write archive and index; the metrics count images, classes and official parts."""
    paths, settings = context.params.paths, context.params.download
    root = _checked_root(context.data_root, settings)
    records: list[ImageRecord] = []
    examples: dict[tuple[str, str], bytes] = {}

    def members() -> Iterator[tuple[str, bytes]]:
        for record, content in read_dataset(root, settings):
            records.append(record)
            examples.setdefault((record.category, record.label), content)
            yield record.member, content

    write_archive(paths.images, members())
    if not records:
        raise ValueError(f"download.dataset: {settings.dataset} holds no image")
    write_jsonl(paths.index, records)
    tiles = [(label, decode_image(examples[c, label], label)) for c, label in sorted(examples)]
    context.log_image("data/classes", contact_sheet(tiles), 0)
    parts = Counter(record.official for record in records)
    return {
        "data/images": len(records),
        "data/classes": len(examples),
        "data/categories": len({category for category, _ in examples}),
        **{f"data/official_{part}": parts[part] for part in ("train", "validation", "test")},
        "data/subset": int(settings.subset),
    }


def _checked_root(root: Path | None, settings: DownloadParams) -> Path | None:
    """The folder to read from; None for a dataset that needs none.

    Raises ValueError when the folder or its hash is missing, or when they do not fit.
    """
    layout = folder_layout(settings.dataset)
    if layout is None:
        return None
    if root is None:
        raise ValueError(
            f"download.dataset: {settings.dataset} is read from a folder ({layout}); name it by "
            "`finer1 run --root DIR` or FINER1_DATA_ROOT=DIR"
        )
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; name the dataset's folder by --root DIR")
    if settings.content is None:
        raise ValueError(
            f"download.content: the hash of {root} is not set; run `finer1 run --root {root}`, "
            "which sets it, so that a changed folder is read anew"
        )
    if sha256_folder(root) != settings.content:
        raise ValueError(
            f"download.content: {root} no longer holds what the hash was taken of; run "
            f"`finer1 run --root {root}` again"
        )
    return root


if __name__ == "__main__":
    main("download", download)
