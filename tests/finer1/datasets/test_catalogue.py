import pytest

from finer1.datasets.catalogue import Places, content_hash, known_datasets, list_dataset
from finer1.params import check_params, load_params


@pytest.fixture
def settings(repository):
    """The settings of a run on some datasets."""

    def make(*datasets, **official):
        values = load_params(repository / "params.yaml").model_dump(mode="json")
        values["download"] |= {"datasets": list(datasets)}
        for name, change in official.items():
            values["download"][name] |= change
        return check_params(values, "test").download

    return make


@pytest.fixture
def where(tmp_path):
    """Places of which only the last two may be there."""
    return Places(None, tmp_path / "raw", tmp_path / "own")


def test_the_drawn_world_has_no_content(settings, where):
    assert content_hash(settings("world"), where) is None


def test_a_dataset_is_read_from_below_the_named_folder(settings, drawn_birds, tmp_path):
    places = Places(drawn_birds.parent, tmp_path / "raw", tmp_path / "own")
    listing = list_dataset("bird", settings("bird", bird={"subset": True}), places)
    assert {image.label for image in listing.images} >= {"American Crow", "Fish Crow"}
    assert "part of the official dataset" in listing.notes[0]


def test_a_dataset_without_its_folder_asks_for_it(settings, where):
    with pytest.raises(ValueError, match=r"name it by `finer1 run --root DIR`"):
        list_dataset("bird", settings("bird"), where)


def test_a_root_that_is_no_folder_is_named(settings, where, tmp_path):
    places = Places(tmp_path / "nowhere", where.raw, where.own)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        list_dataset("bird", settings("bird"), places)


def test_every_dataset_counts_in_the_content(settings, drawn_birds, where):
    (where.own / "moths").mkdir(parents=True)
    (where.own / "moths" / "index.jsonl").write_text("a")
    places = Places(drawn_birds, where.raw, where.own)
    hashes = {content_hash(settings(*names), places) for names in (["bird"], ["bird", "moths"])}
    assert len(hashes) == 2


def test_only_folders_count_in_the_content(settings, where):
    downloaded = {"source": "official"}
    assert content_hash(settings("world", "bird", bird=downloaded), where) is None


def test_the_names_are_those_that_can_be_read(where):
    (where.own / "moths").mkdir(parents=True)
    (where.own / ".moths.part").mkdir()
    names = ["world", "aircraft", "bird", "car", "dog", "flower", "pet", "moths"]
    assert known_datasets(where.own) == names
