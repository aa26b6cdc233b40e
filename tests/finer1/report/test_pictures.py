import base64
import io

from PIL import Image

from finer1.report.pictures import LARGEST_SIDE, picture_uri


def decode(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_a_small_drawing_keeps_every_pixel():
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    assert decode(picture_uri(image)).tobytes() == image.tobytes()


def test_a_photograph_is_made_small_and_keeps_its_shape():
    small = decode(picture_uri(Image.new("RGB", (1600, 800))))
    assert small.format == "JPEG"
    assert small.size == (LARGEST_SIDE, LARGEST_SIDE // 2)


def test_metadata_does_not_travel():
    image = Image.new("RGB", (16, 16))
    image.info = {"comment": "secret", "exif": b"secret"}
    assert b"secret" not in base64.b64decode(picture_uri(image).split(",", 1)[1])
