"""Image embeddings, computed once per image and encoder and kept.

    <root>/<identity of the encoder>/<hash of the file>.safetensors     a chunk of embeddings

An embedding is found by the encoder's content and the image file's SHA-256, so whoever asks for it
in whatever order, stage or experiment gets the same one. Chunks are never changed, only added.
"""

import fcntl
import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load, save

from finer1.encoders.interface import ImageEncoder, in_batches
from finer1.files import write_atomic
from finer1.progress import Progress
from finer1.records import ImageRecord

CHUNK_IMAGES = 1024
"""Most embeddings that are held before they are written."""
CHUNK_S = 20.0
"""Seconds after which they are written anyway: the work that a kill loses."""


class EmbeddingStore:
    """A folder with the embeddings of every encoder that was used."""

    def __init__(self, root: Path, is_live: bool = False) -> None:
        """is_live: as of Progress."""
        self._root = root
        self._is_live = is_live

    def embed(
        self,
        encoder: ImageEncoder,
        images: Sequence[ImageRecord],
        read: Callable[[str], Image.Image],
        progress: str,
    ) -> torch.Tensor:
        """[N, D] float32 on the CPU, one row per image; only the missing ones are computed.

        read: the RGB image of an id. progress: name of the work on the terminal. Batches are cut
        from the missing images by their hash, and a chunk holds whole batches: work that is
        continued after a kill computes the same batches as work that was not killed. Raises
        ValueError when an embedding is not finite.
        """
        folder = self._root / encoder.sha256[:32]
        ids = {image.sha256: image.id for image in reversed(images)}
        with _owned(folder):
            known = _read_chunks(folder, ids.keys())
            missing = sorted(ids.keys() - known.keys())
            bar = Progress(
                progress, len(ids), "images", done=len(ids) - len(missing), is_live=self._is_live
            )
            fresh: dict[str, torch.Tensor] = {}
            written_at = time.monotonic()
            for part in in_batches(missing):
                rows = encoder.encode([read(ids[key]) for key in missing[part]]).float()
                _check(encoder, rows, [ids[key] for key in missing[part]])
                fresh.update(zip(missing[part], rows, strict=True))
                if len(fresh) >= CHUNK_IMAGES or time.monotonic() - written_at >= CHUNK_S:
                    known |= _write_chunk(folder, fresh)
                    fresh, written_at = {}, time.monotonic()
                bar.advance(len(missing[part]))
            known |= _write_chunk(folder, fresh)
        return torch.stack([known[image.sha256] for image in images])


def _check(encoder: ImageEncoder, rows: torch.Tensor, ids: Sequence[str]) -> None:
    finite = rows.isfinite().all(dim=-1).tolist()
    wrong = [image_id for image_id, is_finite in zip(ids, finite, strict=True) if not is_finite]
    if wrong:
        raise ValueError(
            f"encoder {encoder.name!r} gives no finite embedding of {wrong[0]}; its weights are "
            "damaged or overflow"
        )


def _write_chunk(folder: Path, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Write the rows, by hash of the image, as one file; returns them."""
    if rows:
        keys = torch.tensor([list(bytes.fromhex(key)) for key in rows], dtype=torch.uint8)
        content = save({"sha256": keys, "embeddings": torch.stack([*rows.values()])})
        write_atomic(folder / f"{_name(content)}.safetensors", content)
    return rows


def _read_chunks(folder: Path, wanted: Collection[str]) -> dict[str, torch.Tensor]:
    """The wanted ones by hash of the image; a damaged chunk is removed and so computed again."""
    known: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        content = path.read_bytes()
        if _name(content) != path.stem:  # safetensors itself has no checksum
            warnings.warn(f"{path} is damaged and is removed; made again", stacklevel=2)
            path.unlink()
            continue
        chunk = load(content)
        keys = [bytes(key).hex() for key in chunk["sha256"].tolist()]
        places = [place for place, key in enumerate(keys) if key in wanted]
        # Indexed by a list, so copied: a view of one row would keep the whole chunk in memory.
        rows = chunk["embeddings"][places]
        known.update(zip([keys[place] for place in places], rows, strict=True))
    return known


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Wait for another process that fills the folder: it may make what is asked for here."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.getLogger(__name__).warning(
                "waiting for another process that computes embeddings in %s", folder
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        for path in folder.glob(".*.part"):  # of a process that was killed while it wrote
            path.unlink()
        yield
