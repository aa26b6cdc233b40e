"""What is seen in one image file, and the process that looks at files.

    python -m finer1.inspection.looking

The process reads a line of JSON per file, [path, rows to cut from the bottom], and answers each
with a line: the fields of a Look. It ends with its input, so that it cannot outlive its parent.
"""

import hashlib
import json
import signal
import sys
import warnings
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from finer1.images import crop_bottom, decode

_SMALL = 32
"""Side of the grey copy that is hashed, pixels."""
_FREQUENCIES = 9
"""Lowest frequencies each way that are looked at; 80 without the mean, of which 64 are used."""


@dataclass(frozen=True)
class Look:
    """What is seen in one image file; its name plays no part in it."""

    sha256: str
    """Of the bytes to store; of the file where `error` says why there are none."""
    phash: str
    width: int
    height: int
    format: str
    oddities: tuple[str, ...]
    error: str | None
    """Why the image cannot be used; the name is left out."""


def look_at(content: bytes, cut: int) -> Look:
    """See Look; `cut`: rows of pixels that are no part of the picture."""
    try:
        stored = crop_bottom(content, cut) if cut else content
        decoded = decode(stored)
    except ValueError as error:
        return Look(hashlib.sha256(content).hexdigest(), "", 0, 0, "", (), str(error))
    return Look(
        sha256=hashlib.sha256(stored).hexdigest(),
        phash=perceptual_hash(decoded.image),
        width=decoded.image.width,
        height=decoded.image.height,
        format=decoded.format,
        oddities=decoded.oddities,
        error=None,
    )


def perceptual_hash(image: Image.Image) -> str:
    """64 bits as 16 hex digits: which low frequencies of the picture are above their median.

    From the cosine transform of a grey copy of 32 x 32 pixels, as pHash does
    (https://www.phash.org), but without the mean, whose bit says nothing: the 64 lowest of the
    other frequencies, in the order of their sum. A flat picture gives zeros.
    """
    import numpy as np
    from scipy.fft import dctn

    small = image.convert("L").resize((_SMALL, _SMALL), Image.Resampling.LANCZOS, reducing_gap=2)
    waves = dctn(np.asarray(small, dtype=np.float64), norm="ortho")
    low = np.array([waves[place] for place in _lowest()])
    # Rounded, so that the order of additions on another machine decides nothing.
    bits = np.round(low, 6) > np.round(np.median(low), 6)
    return np.packbits(bits).tobytes().hex()


def _lowest() -> list[tuple[int, int]]:
    places = [(y, x) for y in range(_FREQUENCIES) for x in range(_FREQUENCIES) if y or x]
    return sorted(places, key=lambda place: (place[0] + place[1], place))[:64]


def to_json(look: Look) -> list[Any]:
    """As `from_json` takes it."""
    return list(astuple(look))


def from_json(fields: list[Any]) -> Look:
    """Raises TypeError or ValueError when they are not those of a Look."""
    sha256, phash, width, height, kind, oddities, error = fields
    return Look(sha256, phash, width, height, kind, tuple(oddities), error)


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, too, and ends the input
    warnings.simplefilter("ignore")  # Pillow's, on metadata that is not used
    for line in sys.stdin:
        path, cut = json.loads(line)
        look = look_at(Path(path).read_bytes(), cut)
        print(json.dumps(to_json(look)), flush=True)


if __name__ == "__main__":
    main()
