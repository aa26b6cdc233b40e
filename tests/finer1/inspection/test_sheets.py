import pytest
from PIL import Image

from finer1.inspection.sheets import CAPTION, TILE, contact_sheet


def test_sheet_has_a_tile_per_image():
    sheet = contact_sheet([(str(i), Image.new("RGB", (50, 30), "red")) for i in range(20)])
    # ceil(sqrt(2 x 20)) = 7 columns, 3 rows
    assert sheet.size == (7 * TILE, 3 * (TILE + CAPTION))
    assert sheet.getpixel((TILE // 2, TILE // 2)) == (255, 0, 0)


def test_long_name_does_not_break_the_sheet():
    assert contact_sheet([("n" * 300, Image.new("RGB", (9, 9)))]).width == 2 * TILE


def test_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="needs an image"):
        contact_sheet([])
