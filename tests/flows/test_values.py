import pytest
import yaml

from finer1.params import load_params, load_values
from flows.values import configure, parse_assignments, set_values


@pytest.fixture
def photos(tmp_path):
    """A folder with what looks like CUB-200-2011."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/train_test_split.txt").write_text("1 1")
    return tmp_path / "photos"


def test_values_are_read_as_yaml():
    assert parse_assignments(["sft.lr=1e-4", "tapo.clip_dual=null", "tapo.augment=false"]) == {
        "sft.lr": 0.0001,
        "tapo.clip_dual": None,
        "tapo.augment": False,
    }


@pytest.mark.parametrize("text", ["!!python/object/apply:os.getcwd []", "[" * 900])
def test_an_assignment_runs_nothing_and_ends(text):
    with pytest.raises(ValueError, match="-S seed"):
        parse_assignments([f"seed={text}"])


def test_a_value_that_two_keys_share_is_written_twice(project):
    # An alias would be refused where params.yaml is read.
    shared = ["small"]
    set_values(project / "params.yaml", {"report.caveats.a": shared, "report.caveats.b": shared})
    assert load_values(project / "params.yaml")["report"]["caveats"]["b"] == ["small"]


def test_an_assignment_needs_an_equals_sign():
    with pytest.raises(ValueError, match="key=value"):
        parse_assignments(["sft.lr"])


def test_only_the_named_line_changes(project):
    path = project / "params.yaml"
    before = path.read_text().splitlines()
    set_values(path, {"sft.epochs": 7})
    changed = [
        new for old, new in zip(before, path.read_text().splitlines(), strict=True) if old != new
    ]
    assert changed == ["  epochs: 7"]


def test_a_tiny_float_is_a_number_for_yaml_1_1(project):
    path = project / "params.yaml"
    set_values(path, parse_assignments(["sft.lr=1e-5"]))
    assert yaml.safe_load(path.read_text())["sft"]["lr"] == 1e-5


def test_an_unknown_key_names_the_nearest_one(project):
    with pytest.raises(ValueError, match=r"sft\.learning_rate is not a known key.*sft\.lr"):
        set_values(project / "params.yaml", {"sft.learning_rate": 1})


def test_a_refused_value_is_not_written(project):
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ValueError, match=r"sft\.lr"):
        set_values(project / "params.yaml", {"sft.lr": -1})
    assert (project / "params.yaml").read_bytes() == before


def test_a_folder_enters_by_its_content_not_its_place(project, photos):
    here = configure(project / "params.yaml", ["download.datasets=[bird]"], photos)
    photos.rename(photos.with_name("there"))
    there = configure(project / "params.yaml", [], photos.with_name("there"))
    assert here.download.content == there.download.content is not None
    (photos.with_name("there") / "images.txt").write_text("1 a")
    changed = configure(project / "params.yaml", [], photos.with_name("there"))
    assert changed.download.content != here.download.content


def test_without_the_folder_its_content_stays(project, photos):
    given = configure(project / "params.yaml", ["download.datasets=[bird]"], photos)
    assert configure(project / "params.yaml", [], None) == given


def test_ones_own_dataset_is_hashed_in_the_project(project):
    own = project / "data/own/moths"
    own.mkdir(parents=True)
    (own / "index.jsonl").write_text("a")
    first = configure(project / "params.yaml", ["download.datasets=[moths]"], None)
    (own / "index.jsonl").write_text("b")
    second = configure(project / "params.yaml", [], None)
    assert first.download.content != second.download.content


def test_a_dataset_read_from_no_folder_leaves_the_settings_alone(project, photos):
    before = (project / "params.yaml").read_bytes()
    configure(project / "params.yaml", [], photos)  # download.datasets: [world]
    assert (project / "params.yaml").read_bytes() == before


def test_a_dataset_that_is_nowhere_names_those_that_are(project):
    with pytest.raises(ValueError, match=r"no dataset moths; there are world, aircraft, .*, pet;"):
        configure(project / "params.yaml", ["download.datasets=[moths]"], None)
    assert load_params(project / "params.yaml").download.datasets == ("world",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sft: {epochs: 1", "cannot be read"),
        ("seed: 1\nseed: 2\n", "cannot be read"),
        ("seed: 1\n", "the section sft is missing"),
        ("", "the section sft is missing"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, message):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"params\.yaml.*{message}"):
        set_values(tmp_path / "params.yaml", {"sft.epochs": 7})


@pytest.mark.parametrize(
    "word", ["no", "yes", "on", "off", "Null", "~", "012", "1:30", "1_0", "a b"]
)
def test_a_text_stays_one_for_yaml_1_1(project, word):
    path = project / "params.yaml"
    set_values(path, {"report.title": word, "download.datasets": ["bird"]})
    assert yaml.safe_load(path.read_text())["report"]["title"] == word
    assert load_params(path).report.title == word
    # What was quoted or plain before stays so.
    set_values(path, {"sft.epochs": 7})
    assert load_params(path).report.title == word
