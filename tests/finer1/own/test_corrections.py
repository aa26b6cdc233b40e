import hashlib
import io

import pytest
from PIL import Image

from finer1 import files
from finer1.own.corrections import Correction, Corrections
from finer1.records import read_jsonl

KEY = ("beetles", "beetle", "ruby")


def content(colour="red", kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (12, 12), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def corrections(tmp_path):
    return Corrections(tmp_path / "corrections", now=lambda: "2026-01-01T00:00:00Z")


def add(corrections, picture=None, key=KEY):
    return corrections.add(picture or content(), key, "violet", "engine:abc", "me")


def test_a_correction_is_a_line_and_the_bytes_of_the_image(corrections):
    made = add(corrections)
    assert read_jsonl(corrections.rows, Correction) == [made]
    sha256 = hashlib.sha256(content()).hexdigest()
    assert (made.sha256, made.file) == (sha256, f"{sha256}.png")
    assert corrections.path(made).read_bytes() == content()
    assert made.class_key == KEY


@pytest.mark.parametrize(
    ("kind", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("GIF", ".gif"), ("BMP", ".bmp")]
)
def test_a_file_is_named_after_what_it_is(corrections, kind, suffix):
    assert add(corrections, content(kind=kind)).file.endswith(suffix)


def test_the_last_word_on_an_image_counts(corrections):
    add(corrections)
    last = add(corrections, key=("beetles", "beetle", "golden"))
    assert list(corrections.standing().values()) == [last]
    assert len(read_jsonl(corrections.rows, Correction)) == 2


def test_what_is_taken_back_stands_no_more_and_stays_in_the_file(corrections):
    made, other = add(corrections), add(corrections, content("blue"))
    assert corrections.take_back(made.sha256, "me") == made
    assert corrections.standing() == {other.sha256: other}
    assert corrections.said()[made.sha256].label is None
    assert corrections.take_back(made.sha256, "me") is None
    assert len(read_jsonl(corrections.rows, Correction)) == 3


def test_picking_again_mends_a_damaged_file(corrections):
    made = add(corrections)
    corrections.path(made).write_bytes(b"half")
    add(corrections)
    assert corrections.path(made).read_bytes() == content()


def test_what_is_no_image_is_refused_and_nothing_written(corrections):
    with pytest.raises(ValueError, match="not a readable image"):
        add(corrections, b"text")
    assert not corrections.folder.exists()


def test_no_line_names_a_file_that_is_not_there(corrections, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        add(corrections)
    assert corrections.standing() == {}
