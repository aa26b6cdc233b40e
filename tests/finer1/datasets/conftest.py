"""A dataset of drawn images in the layout of CUB-200-2011."""

import pytest
from PIL import Image

SPECIES = ("001.Black_footed_Albatross", "029.American_Crow", "030.Fish_Crow")


@pytest.fixture
def drawn_birds(tmp_path):
    """CUB_200_2011 with three species of four drawn images each, two of them for training."""
    root = tmp_path / "CUB_200_2011"
    tables = {"images.txt": [], "image_class_labels.txt": [], "train_test_split.txt": []}
    number = 0
    for class_id, species in enumerate(SPECIES, 1):
        for place in range(4):
            number += 1
            path = f"{species}/{species[4:]}_{place:04}.jpg"
            file = root / "images" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 16), (number * 9, class_id * 50, place * 40)).save(file)
            tables["images.txt"].append(f"{number} {path}")
            tables["image_class_labels.txt"].append(f"{number} {class_id}")
            tables["train_test_split.txt"].append(f"{number} {place % 2}")
    tables["classes.txt"] = [f"{i} {name}" for i, name in enumerate(SPECIES, 1)]
    for name, lines in tables.items():
        (root / name).write_text("".join(f"{line}\n" for line in lines))
    return root
