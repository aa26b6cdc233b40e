"""FGVC-Aircraft: 100 variants of aircraft in the layout of its archive (2013b).

Text files of lines "id label", where the label may hold spaces: images_variant_trainval.txt and
images_variant_test.txt; images_family_* and images_manufacturer_* name the same images at the
coarser levels. The official training side is trainval, which is train and val together. The
bottom 20 rows of every image are a banner with the photographer's name; the official protocol
removes them. Maji, Rahtu, Kannala, Blaschko, Vedaldi, arXiv:1306.5151.
"""

import re
from pathlib import Path

from finer1.data_params import OfficialParams
from finer1.datasets.interface import ListedImage, Listing, Side, check_counts, counts
from finer1.datasets.tables import (
    Fault,
    Table,
    check_keys,
    read_table,
    refuse,
    refuse_missing,
    usual_values,
)

LAYOUT = (
    "fgvc-aircraft-2013b with data/variants.txt, data/images_variant_trainval.txt (or _train.txt "
    "and _val.txt), data/images_variant_test.txt and data/images/"
)

MARKER = "data/images_variant_test.txt"

OFFICIAL = {"images": 10_000, "classes": 100, "training images": 6_667}

BANNER = 20
"""Rows of the credit banner at the bottom."""

_VARIANTS = "variants.txt"
_COARSER = ("family", "manufacturer")


def read(folder: Path, settings: OfficialParams) -> Listing:
    """Every image, training ones first, in the order of the files.

    Raises ValueError with a line for each wrong row of the files and each missing image, or with
    the difference from the official counts.
    """
    data = folder / "data"
    training = _training_files(data, "variant")
    files: dict[str, Side] = {**dict.fromkeys(training, "train"), _file("variant", "test"): "test"}
    refuse_missing(data, [_VARIANTS, *files])
    faults: list[Fault] = []
    tables = {name: read_table(data / name, faults) for name in files}
    _check_once(data, tables, faults)
    _check_images(data, tables, faults)
    _check_parts(data, tables, faults)
    _check_variants(data, tables, settings.subset, faults)
    makers = {level: _coarser(data, level, tables, faults) for level in _COARSER}["manufacturer"]
    refuse(faults)
    listed = tuple(
        _listed(data, name, key, row, side, makers.get(key))
        for name, side in files.items()
        for key, row in tables[name].items()
    )
    found = counts((image.label, image.official) for image in listed)
    return Listing(listed, check_counts("aircraft", found, OFFICIAL, settings.subset))


def class_label(variant: str) -> str:
    """The released name: "727-200" -> "Boeing 727-200", "A320" -> "Airbus A320", else as it is."""
    if re.match(r"7\d7\b", variant):
        return f"Boeing {variant}"
    if re.match(r"A3\d\d", variant):
        return f"Airbus {variant}"
    return variant


def _file(level: str, part: str) -> str:
    return f"images_{level}_{part}.txt"


def _training_files(data: Path, level: str) -> list[str]:
    whole = _file(level, "trainval")
    if (data / whole).is_file():
        return [whole]
    parts = [_file(level, "train"), _file(level, "val")]
    return parts if any((data / part).is_file() for part in parts) else [whole]


def _listed(
    data: Path, name: str, key: str, row: tuple[int, str], side: Side, maker: str | None
) -> ListedImage:
    line, variant = row
    return ListedImage(
        path=f"{key}.jpg",
        category="aircraft",
        label=class_label(variant),
        group=maker,
        official=side,
        source=data / "images" / f"{key}.jpg",
        where=f"{data / name}:{line}",
        crop_bottom=BANNER,
    )


def _check_once(data: Path, tables: dict[str, Table], faults: list[Fault]) -> None:
    """No image is in two of the files, as in training and test."""
    first: dict[str, str] = {}
    for name, table in tables.items():
        for key, (line, _) in table.items():
            if key in first:
                faults.append((data / name, line, f"image {key} is already in {first[key]}"))
            first.setdefault(key, f"{name}:{line}")


def _check_images(data: Path, tables: dict[str, Table], faults: list[Fault]) -> None:
    for name, table in tables.items():
        for key, (line, _) in table.items():
            if not re.fullmatch(r"[0-9]+", key):
                faults.append((data / name, line, f"{key!r} is no image number"))
            elif not (data / "images" / f"{key}.jpg").is_file():
                faults.append((data / name, line, f"there is no images/{key}.jpg"))


def _check_parts(data: Path, tables: dict[str, Table], faults: list[Fault]) -> None:
    """The train and val files, where they lie beside trainval, say the same as it."""
    whole = _file("variant", "trainval")
    for part in ("train", "val"):
        name = _file("variant", part)
        if whole not in tables or not (data / name).is_file():
            continue
        table = read_table(data / name, faults)
        check_keys(data / name, table, tables[whole], whole, faults)
        for key in table.keys() & tables[whole].keys():
            line, variant = tables[whole][key]
            other_line, other = table[key]
            if variant != other:
                what = f"{key} is {variant}, but {other} in {name}:{other_line}"
                faults.append((data / whole, line, what))


def _check_variants(
    data: Path, tables: dict[str, Table], subset: bool, faults: list[Fault]
) -> None:
    path = data / _VARIANTS
    lines: dict[str, int] = {}
    for number, text in enumerate(
        path.read_text(encoding="utf-8", errors="replace").split("\n"), 1
    ):
        variant = text.strip()
        if variant in lines:
            faults.append((path, number, f"{variant} is already in line {lines[variant]}"))
        elif variant:
            lines[variant] = number
    used = set()
    for name, table in tables.items():
        for line, variant in table.values():
            used.add(variant)
            if variant not in lines:
                faults.append((data / name, line, f"no variant {variant!r} in {_VARIANTS}"))
    if not subset:
        for variant in lines.keys() - used:
            faults.append((path, lines[variant], f"no image is of variant {variant}"))


def _coarser(
    data: Path, level: str, tables: dict[str, Table], faults: list[Fault]
) -> dict[str, str]:
    """Image -> its family or manufacturer; empty where the files are not there.

    A variant belongs to one family and one manufacturer. A row that says otherwise than the
    variant's other images is a fault: labels were swapped or shifted in one of the files.
    """
    names = [*_training_files(data, level), _file(level, "test")]
    if not all((data / name).is_file() for name in names):
        return {}
    rows: dict[str, str] = {}
    places: dict[str, tuple[str, int]] = {}
    variants = {key: row[1] for table in tables.values() for key, row in table.items()}
    for name in names:
        table = read_table(data / name, faults)
        check_keys(data / name, table, variants, "the variant files", faults)
        rows |= {key: value for key, (_, value) in table.items()}
        places |= {key: (name, line) for key, (line, _) in table.items()}
    usual = usual_values((variants[key], rows[key]) for key in rows if key in variants)
    for key, value in rows.items():
        if key in variants and value != usual[variants[key]]:
            name, line = places[key]
            what = f"{key} is of {level} {value}, but its variant {variants[key]} of"
            faults.append((data / name, line, f"{what} {usual[variants[key]]}"))
    return rows
