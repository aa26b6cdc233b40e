import base64
import io

import pytest
from PIL import Image

from finer1.recognition.uploads import decode_base64

RED = Image.new("RGB", (48, 40), (200, 30, 30))


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_base64_with_and_without_its_kind_is_the_same_image():
    text = encoded(RED)
    assert decode_base64(text).tobytes() == RED.tobytes()
    assert decode_base64(f"data:image/png;base64,{text}").tobytes() == RED.tobytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no base64!", "not base64"),
        ("bm8gaW1hZ2U=", "image: not a readable image"),
        (encoded(Image.new("RGB", (4, 4))), "image: "),  # below the smallest side
        ("A" * 28_000_001, "too many"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(text, said):
    with pytest.raises(ValueError, match=said):
        decode_base64(text)
