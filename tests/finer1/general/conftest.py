"""ImageWikiQA in miniature."""

import json

import pytest
from PIL import Image

TEXT = "Where does this object live?\nA. In water\nB. In trees\nC. In sand\nD. In ice\n{last}"


@pytest.fixture
def wiki_row():
    """A row in the authors' form, with changes."""

    def make(**changes):
        row = {
            "image": "images/1.png",
            "text": TEXT.format(last="Choose A, B, C, or D."),
            "label": "B",
            "wiki": "It lives in trees.",
            "classname": "indri",
        }
        return row | changes

    return make


@pytest.fixture
def write_wiki(tmp_path):
    """Write rows and one image to a folder; the file."""

    def write(rows):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), "green").save(tmp_path / "images/1.png")
        file = tmp_path / "imagewikiqa.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    return write
