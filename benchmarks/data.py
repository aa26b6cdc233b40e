"""Looking at every image of a dataset: speed, memory, a second look, near-duplicates.

    python -m benchmarks.data DIR... [--copies 60000] [--scratch DIR]

Takes all image files below the folders, and then as many copies of them, each with another byte at
its end, so that none is known by its content. Prints markdown. Needs 1.2 GB in the scratch folder.
"""

import argparse
import itertools
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


def image_files(folders: Sequence[Path]) -> list[Path]:
    """All image files below the folders, in the order of their names."""
    paths = (path for folder in folders for path in folder.rglob("*"))
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES)


def write_copies(files: Sequence[Path], count: int, folder: Path) -> None:
    """`count` files whose pictures are those of `files` and whose contents all differ."""
    for number, path in zip(range(count), itertools.cycle(files), strict=False):
        content = path.read_bytes() + number.to_bytes(4, "little")
        (folder / f"{number:06d}{path.suffix}").write_bytes(content)


def index(folders: Sequence[Path], cache: Path, workers: int) -> str:
    """A row of the table: this process looks at all images once and reports on itself."""
    from finer1.datasets.interface import ListedImage
    from finer1.inspection.inspecting import inspect_images

    images = [
        ListedImage(str(path), "photo", path.parent.name, None, "train", path, str(path))
        for path in image_files(folders)
    ]
    before = _memory("VmRSS")
    began = time.perf_counter()
    broken = sum(look.error is not None for look in inspect_images(images, cache, workers, None))
    seconds = time.perf_counter() - began
    own = _memory("VmHWM")
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    cells = (f"{len(images)}", f"{workers}", f"{broken}", f"{seconds:.2f}")
    rates = (f"{len(images) / seconds:.0f}", f"{own - before}", f"{own}", f"{child}")
    return f"{' | '.join((*cells, *rates))} |"


def parts(files: Sequence[Path]) -> Iterator[str]:
    """Rows: milliseconds per image of each step of a look, in this process."""
    import hashlib

    from finer1.images import decode
    from finer1.inspection.looking import perceptual_hash

    began = time.perf_counter()
    contents = [path.read_bytes() for path in files]
    yield _part("read", began, files)
    began = time.perf_counter()
    for content in contents:
        hashlib.sha256(content).hexdigest()
    yield _part("SHA-256", began, files)
    began = time.perf_counter()
    images = [decode(content).image for content in contents]
    yield _part("decode", began, files)
    began = time.perf_counter()
    for image in images:
        perceptual_hash(image)
    yield _part("perceptual hash", began, files)


def search(count: int) -> str:
    """A sentence: seconds to find near-duplicates among random hashes."""
    import numpy as np

    from finer1.inspection.near_pairs import NEAR_DISTANCE, near_pairs

    values = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
    hashes = [f"{value:016x}" for value in values]
    began = time.perf_counter()
    found = near_pairs(hashes, NEAR_DISTANCE)
    seconds = time.perf_counter() - began
    return f"Near-duplicates among {count} random hashes: {seconds:.1f} s, {len(found)} pairs."


def _part(name: str, began: float, files: Sequence[Path]) -> str:
    return f"| {name} | {(time.perf_counter() - began) / len(files) * 1e3:.2f} |"


def _memory(field: str) -> int:
    """MiB, as Linux tells it; unlike ru_maxrss without what the parent had."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def _measure(name: str, folders: Sequence[Path], cache: Path, workers: int) -> None:
    """Print a row, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data", *map(str, folders)]
    command += ["--row", str(cache), "--workers", str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(f"| {name} | {done.stdout.strip()}", flush=True)


def _report(files: Sequence[Path], folders: Sequence[Path], copies: int, scratch: Path) -> None:
    print("| step, one process | ms per image |\n| --- | ---: |")
    for row in parts(files[:1000]):
        print(row, flush=True)
    head = (
        "| look | images | processes | unreadable | s | images/s | MiB grown | MiB | MiB of one |"
    )
    print(f"\n{head}\n| --- |{' ---: |' * 8}")
    _measure("first", folders, scratch / "one", 1)
    _measure("first", folders, scratch / "two", 2)
    _measure("second", folders, scratch / "two", 2)
    many = scratch / "copies"
    many.mkdir()
    write_copies(files, copies, many)
    time.sleep(3)  # a file that was just written is not trusted; see look_cache.YOUNG_S
    _measure("first", [many], scratch / "many", 2)
    _measure("second", [many], scratch / "many", 2)
    print(f"\n{search(copies)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Speed of looking at every image of a dataset.")
    parser.add_argument("folders", nargs="*", type=Path, help="folders of photographs")
    parser.add_argument("--copies", type=int, default=60_000)
    parser.add_argument("--scratch", type=Path, help="where a temporary folder is made")
    parser.add_argument("--row", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    files = image_files(given.folders)
    if not files:
        parser.error(
            "no photographs; name folders of them, as in python -m benchmarks.data "
            "CUB_200_2011/images (or make bench-data DIR='a b')"
        )
    if given.row is not None:
        print(index(given.folders, given.row, given.workers))
        return
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        _report(files, given.folders, given.copies, Path(scratch))


if __name__ == "__main__":
    main()
