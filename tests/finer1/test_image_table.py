"""The table of odd and broken image files: each gives the right pixels or one sentence."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from finer1.images import FORMATS, ImageArchive, decode, decode_image, write_archive
from tests.finer1.image_files import BOMBS, READABLE, UNREADABLE, encoded, noise, with_texts

# Pillow's, on broken metadata.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_the_table_is_whole():
    assert len(READABLE) + len(UNREADABLE) >= 40


@pytest.mark.parametrize("name", READABLE)
def test_a_readable_file_gives_its_pixels_and_oddities(name):
    content, colour, most, oddities = READABLE[name]
    decoded = decode(content)
    pixels = np.asarray(decoded.image).astype(int)
    assert decoded.image.mode == "RGB"
    assert abs(pixels - colour).max() <= most
    assert pixels.shape == (12, 16, 3)
    assert decoded.oddities == oddities
    assert decoded.format in FORMATS


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unusable_file_is_refused_in_one_sentence_that_names_it(name):
    content, pattern = UNREADABLE[name]
    with pytest.raises(ValueError, match=pattern) as refusal:
        decode_image(content, "row 7")
    message = str(refusal.value)
    assert message.startswith("row 7: not a readable image (")
    assert "\n" not in message
    assert "0x" not in message  # no address of a Python object


def test_an_archive_gives_the_same_pixels_and_sentences(tmp_path):
    contents = {name: case[0] for name, case in (READABLE | UNREADABLE).items()}
    write_archive(tmp_path / "all.zip", contents.items())
    archive = ImageArchive(tmp_path)
    for name in READABLE:
        alone = decode_image(contents[name], name)
        assert archive.read(f"all/{name}").tobytes() == alone.tobytes()
    for name, (_, pattern) in UNREADABLE.items():
        with pytest.raises(ValueError, match=pattern):
            archive.read(f"all/{name}")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_every_orientation_is_set_upright_once(orientation, kind):
    upright = noise((20, 12))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # stored turned to the left, shown turned to the right
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encoded(stored, kind, exif=exif, **options))
    assert np.array_equal(np.asarray(decoded.image), np.asarray(upright))
    assert ("EXIF rotation" in decoded.oddities) == (orientation > 1)
    # transformers' load_image turns by what getexif says; it must say nothing more.
    assert decoded.image.getexif().get(0x0112) is None


def test_an_orientation_in_xmp_counts_and_does_not_stay():
    text = '<x:xmpmeta tiff:Orientation="6"/>'
    decoded = decode(with_texts(("XML:com.adobe.xmp", text), ("label", "wren")))
    assert decoded.image.size == (12, 16)
    assert decoded.image.info == {"label": "wren"}


def test_bombs_are_refused_within_200_mb(tmp_path):
    for name in BOMBS:
        (tmp_path / name).write_bytes(UNREADABLE[name][0])
    code = (
        "import pathlib, re, sys\n"
        "from finer1.images import decode\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try:\n"
        "        decode(path.read_bytes())\n"
        "        print(path)\n"
        "    except ValueError:\n"
        "        pass\n"
        # Not ru_maxrss, which begins with what the parent had when it forked.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert int(done.stdout) < 200 * 1024  # KiB


def mutants(number):
    """JPEGs with 1 to 20 bytes changed, cut out or put in."""
    generator = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    originals = [
        encoded(noise(), "JPEG", exif=exif),
        encoded(noise(), "JPEG", progressive=True),
        encoded(noise().convert("CMYK"), "JPEG"),
    ]
    for place in range(number):
        content = bytearray(originals[place % len(originals)])
        for _ in range(generator.choice([1, 2, 5, 20])):
            at = generator.integers(min(len(content), generator.choice([60, 400, len(content)])))
            match generator.integers(4):
                case 0:
                    del content[at : at + generator.integers(1, 30)]
                case 1:
                    content[at:at] = generator.bytes(generator.integers(1, 20))
                case _:
                    content[at] = generator.integers(256)
        yield bytes(content)


@pytest.mark.parametrize("number", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_mutated_jpegs_are_read_or_refused(number):
    outcomes = {"read": 0, "refused": 0}
    for content in mutants(number):
        try:
            assert decode(content).image.mode == "RGB"
            outcomes["read"] += 1
        except ValueError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > number / 20
