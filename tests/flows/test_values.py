import pytest
import yaml

from finer1.files import sha256_folder
from flows.values import configure, data_differences, parse_assignments, set_values


@pytest.fixture
def photos(tmp_path):
    """A data folder."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.txt").write_text("a")
    return tmp_path / "photos"


def test_values_are_read_as_yaml():
    assert parse_assignments(["sft.lr=1e-4", "tapo.clip_dual=null", "tapo.augment=false"]) == {
        "sft.lr": 0.0001,
        "tapo.clip_dual": None,
        "tapo.augment": False,
    }


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


def test_a_folder_enters_by_its_content_not_its_place(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("a")
    here, there = (data_differences(tmp_path / name, "folder") for name in ("here", "there"))
    assert here == there == {"download.content": sha256_folder(tmp_path / "here")}


def test_a_dataset_read_from_no_folder_leaves_the_settings_alone(project, photos):
    before = (project / "params.yaml").read_bytes()
    configure(project / "params.yaml", [], photos)  # download.dataset: world
    assert (project / "params.yaml").read_bytes() == before


def test_a_dataset_given_with_the_folder_decides(project, photos):
    params = configure(project / "params.yaml", ["download.dataset=folder"], photos)
    assert params.download.content == sha256_folder(photos)


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
