import pytest
import torch

from finer1.analysis.taxonomy_similarity import (
    Target,
    choose_targets,
    class_means,
    layer_similarity,
)
from finer1.evaluation.taxonomy import read_taxonomy

ROWS = """family,genus,label
f,wrens,elm wren
f,wrens,oak wren
f,terns,reed tern
f,terns,kelp tern
f,gulls,grey gull
g,gulls,odd gull
f,,lone bird
"""


def keys(*labels):
    return [("d", "bird", label) for label in labels]


@pytest.fixture
def taxonomy(tmp_path):
    path = tmp_path / "genera.csv"
    path.write_text(ROWS, encoding="utf-8")
    labels = [line.split(",")[-1] for line in ROWS.splitlines()[1:]]
    return labels, read_taxonomy(path, {"d": labels})


def test_a_target_has_a_congener_and_others_of_other_genera(taxonomy):
    labels, levels = taxonomy
    found = {item.target[2]: item for item in choose_targets(keys(*labels), levels, 3, 0)}
    # The gulls share a name but no family, and the lone bird has no genus.
    assert set(found) == {"elm wren", "oak wren", "reed tern", "kelp tern"}
    assert found["elm wren"].congener[2] == "oak wren"
    others = {key[2] for key in found["elm wren"].others}
    assert len(others) == 3
    assert others < {"reed tern", "kelp tern", "grey gull", "odd gull"}


def test_too_few_others_leave_a_class_out(taxonomy):
    labels, levels = taxonomy
    # A wren has four others: two terns and two gulls.
    assert len(choose_targets(keys(*labels), levels, 4, 0)) == 4
    assert choose_targets(keys(*labels), levels, 5, 0) == []


def test_another_category_is_nobodys_other(taxonomy):
    labels, levels = taxonomy
    birds = keys("elm wren", "oak wren")
    cars = [("d", "car", label) for label in labels[2:]]
    assert [item.target[1] for item in choose_targets(birds + cars, levels, 2, 0)] == ["car"] * 2


def test_equal_seeds_choose_the_same(taxonomy):
    labels, levels = taxonomy
    first = choose_targets(keys(*labels), levels, 2, 3)
    assert choose_targets(keys(*reversed(labels)), levels, 2, 3) == first


def test_cosines_are_those_of_the_class_means_in_each_layer():
    wren, oak, tern, gull = keys("wren", "oak", "tern", "gull")
    means = {
        wren: torch.tensor([[1.0, 0.0], [3.0, 4.0]]),
        oak: torch.tensor([[1.0, 1.0], [4.0, 3.0]]),
        tern: torch.tensor([[0.0, 1.0], [-3.0, -4.0]]),
        gull: torch.tensor([[2.0, 0.0], [0.0, 2.0]]),
    }
    found = layer_similarity(means, [Target(wren, oak, (tern, gull))])
    # Layer 0: cos 45 degrees; 0 and 1. Layer 1: (12 + 12) / 25 = 0.96; -1 and 4 / 5.
    assert found.congener[0].tolist() == pytest.approx([0.5**0.5, 0.96])
    assert found.others[0].tolist() == pytest.approx([0.5, -0.1])
    assert found.deltas[0].tolist() == pytest.approx([0.5**0.5 - 0.5, 1.06])


def test_a_class_is_the_mean_of_its_images():
    wren, tern = keys("wren", "tern")
    rows = torch.tensor([[1.0, 3.0], [5.0, 5.0], [3.0, 1.0]])
    means = class_means([wren, tern, wren], rows)
    assert {key[2]: row.tolist() for key, row in means.items()} == {
        "wren": [2.0, 2.0],
        "tern": [5.0, 5.0],
    }
