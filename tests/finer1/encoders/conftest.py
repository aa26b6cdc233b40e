"""Images of several sizes and colours."""

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def images():
    """Make `count` images, each another colour and size, none of them of one colour."""

    def make(count=3):
        made = []
        for i in range(count):
            image = Image.new("RGB", (40 + 8 * (i % 3), 64), (80 * i % 256, 255 - 80 * i % 256, 40))
            image.paste((200, 20 * i % 256, 30), (8, 8, 20 + i % 8, 30))
            made.append(image)
        return made

    return make
