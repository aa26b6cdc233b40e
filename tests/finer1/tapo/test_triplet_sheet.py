import pytest
import torch
from PIL import Image

from finer1.records import Triplet
from finer1.tapo import triplet_sheet
from finer1.tapo.triplet_sheet import MARGIN, ROWS, TILE, choose_rows, draw_triplets

COLOURS = {"a0": (255, 0, 0), "a1": (0, 255, 0), "b0": (0, 0, 255)}
# Cosines of the anchor (1, 0): 0.6 with the positive, 0 with the negative.
EMBEDDINGS = {
    "a0": torch.tensor([2.0, 0.0]), "a1": torch.tensor([0.6, 0.8]), "b0": torch.tensor([0.0, 3.0]),
}  # fmt: skip


def triplet(positives=("a1",)):
    return Triplet("a0", "elm wren", "bird", positives, "oak wren", ("b0",), 0.5, "x", "0" * 64)


def read(image_id):
    return Image.new("RGB", (300, 200), COLOURS[image_id])


@pytest.fixture
def texts(monkeypatch):
    """What is written on the sheet."""
    written = []
    plain = triplet_sheet.ImageDraw.ImageDraw.text

    def text(self, place, words, *args, **options):
        written.append(words)
        plain(self, place, words, *args, **options)

    monkeypatch.setattr(triplet_sheet.ImageDraw.ImageDraw, "text", text)
    return written


def test_a_row_shows_anchor_positive_and_negative():
    sheet = draw_triplets([triplet()], EMBEDDINGS, read)
    middle = MARGIN + TILE // 2
    colours = [sheet.getpixel((middle + i * (TILE + MARGIN), middle)) for i in range(3)]
    assert colours == [*COLOURS.values()]


def test_two_triplets_stand_beside_each_other():
    one, two, three = (draw_triplets([triplet()] * count, EMBEDDINGS, read) for count in (1, 2, 3))
    assert (two.width > one.width, two.height) == (True, one.height)
    assert (three.width, three.height > two.height) == (two.width, True)
    assert two.getpixel((two.width - MARGIN - TILE // 2, MARGIN + TILE // 2)) == COLOURS["b0"]


def test_names_and_distances_stand_below(texts):
    draw_triplets([triplet()], EMBEDDINGS, read)
    assert texts == [
        *("elm wren", "anchor"),
        *("elm wren", "positive, distance 0.400"),
        *("oak wren", "negative, distance 1.000"),
    ]


def test_a_positive_that_is_the_anchor_is_said_to_be_augmented(texts):
    draw_triplets([triplet(positives=("a0",))], EMBEDDINGS, read)
    assert "positive: anchor, augmented" in texts


@pytest.mark.parametrize("count", [0, 1, 12, 13, 1000])
def test_the_sheet_is_bounded_and_spread_over_all(count):
    rows = choose_rows(list(range(count)))
    assert len(set(rows)) == len(rows) == min(count, ROWS)
    assert not count or (rows[0] == 0 and rows[-1] >= count - 1 - count / ROWS)


def test_a_long_name_stays_on_its_tile(texts):
    long = Triplet("a0", "w" * 200, "bird", ("a1",), "oak wren", ("b0",), 0.5, "x", "0" * 64)
    draw_triplets([long], EMBEDDINGS, read)
    assert texts[0].endswith("...")
