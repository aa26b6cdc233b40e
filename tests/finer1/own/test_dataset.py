import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from finer1.datasets.interface import ListedImage
from finer1.files import sha256_file
from finer1.own.dataset import Addition, OwnDataset, check_name, read, write_dataset
from finer1.progress import Progress

ABOUT = OwnDataset("beetle", "photos")


@pytest.fixture
def additions(tmp_path):
    """Two classes of two images each, one of them for the test; names hold what names may."""
    made = []
    for label in ("K\u00e4fer \U0001fab2", "violet"):
        for number, side in enumerate(("train", "test")):
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 12), (number, len(label), 7)).save(path)
            image = ListedImage(
                path=f"{label}/{number}.png",
                category="beetle",
                label=label,
                group="Carabus" if label == "violet" else None,
                official=side,
                source=path,
                where=str(path),
            )
            made.append(Addition(image, sha256_file(path)))
    return made


@pytest.fixture
def folder(tmp_path, additions):
    made = tmp_path / "own" / "beetles"
    write(made, additions)
    return made


def write(folder, additions, replace=False):
    write_dataset(folder, ABOUT, additions, replace, Progress("copy", len(additions), "images"))


def edit(folder, number, **changes):
    lines = (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()
    lines[number - 1] = json.dumps({**json.loads(lines[number - 1]), **changes})
    (folder / "index.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_what_was_written_is_read_again(folder, additions):
    facts = [(i.path, i.category, i.label, i.group, i.official) for i in read(folder).images]
    given = [a.image for a in additions]
    assert facts == [(i.path, i.category, i.label, i.group, i.official) for i in given]


@pytest.mark.parametrize(
    "name",
    [
        "\u0639\u0642\u0627\u0628 \u05e0\u05e9\u05e8",
        "\u4e39\u9876\u9e64" * 28,
        "family \U0001f468\u200d\U0001f469\u200d\U0001f467",
        'O\'Brien "the" Crow',
        "{{ jinja }} $HOME `ls` %s",
        "-rf",
    ],
)
def test_names_of_all_kinds_come_back(tmp_path, additions, name):
    image = replace(additions[0].image, path=f"{name}/{name[:60]}.png", label=name, group=name)
    write(tmp_path / "named", [Addition(image, additions[0].sha256)])
    (back,) = read(tmp_path / "named").images
    assert (back.path, back.label, back.group) == (image.path, name, name)
    assert sha256_file(back.source) == additions[0].sha256


def test_files_are_copied_unchanged(folder, additions):
    for image, addition in zip(read(folder).images, additions, strict=True):
        assert sha256_file(image.source) == addition.sha256


def test_an_existing_dataset_is_kept_unless_it_is_to_be_replaced(folder, additions):
    with pytest.raises(ValueError, match="add --replace"):
        write(folder, additions[:1])
    assert len(read(folder).images) == 4
    write(folder, additions[:1], replace=True)
    assert len(read(folder).images) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["beetles"]


def test_a_file_that_changed_since_the_check_stops_it_and_leaves_nothing(tmp_path, additions):
    additions[2].image.source.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"violet/0\.png: the file changed"):
        write(tmp_path / "own" / "late", additions)
    assert not [*(tmp_path / "own").iterdir()]


def test_a_failed_replacement_keeps_the_earlier_dataset(folder, additions):
    additions[3].image.source.unlink()
    with pytest.raises(FileNotFoundError):
        write(folder, additions, replace=True)
    assert len(read(folder).images) == 4


def test_a_kill_between_the_two_renames_loses_nothing(folder, additions):
    folder.rename(folder.with_name(".beetles.old"))
    additions[0].image.source.unlink()
    with pytest.raises(FileNotFoundError):
        write(folder, additions, replace=True)
    assert len(read(folder).images) == 4


def test_equal_images_make_equal_datasets(tmp_path, folder, additions):
    write(tmp_path / "own" / "again", additions)
    again = (tmp_path / "own" / "again" / "index.jsonl").read_bytes()
    assert again == (folder / "index.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "../x.png"}, r"index\.jsonl:2: ../x\.png holds \.\."),
        ({"path": "/etc/passwd"}, r"index\.jsonl:2: .* absolute"),
        ({"path": "violet/9.png"}, r"index\.jsonl:2: violet/9\.png is no file"),
        ({"path": "violet/0.png"}, r"index\.jsonl:3: violet/0\.png is already in line 2"),
        ({"side": "later"}, r"index\.jsonl:2: side"),
        ({"more": 1}, r"index\.jsonl:2: more"),
    ],
)
def test_a_broken_row_is_named(folder, changes, message):
    edit(folder, 2, **changes)
    with pytest.raises(ValueError, match=message):
        read(folder)


def test_all_files_that_are_not_there_are_named(folder):
    for image in read(folder).images[1:3]:
        image.source.unlink()
    with pytest.raises(ValueError, match="no file") as error:
        read(folder)
    assert len(str(error.value).splitlines()) == 2


def test_a_replacement_that_cannot_take_the_place_keeps_the_earlier_dataset(
    folder, additions, monkeypatch
):
    rename = Path.rename

    def fail(path, target):
        if path.name.endswith(".part"):
            raise OSError("Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write(folder, additions[:1], replace=True)
    assert len(read(folder).images) == 4


def test_the_hash_of_the_index_is_listed(folder, additions):
    assert [i.sha256 for i in read(folder).images] == [a.sha256 for a in additions]


@pytest.mark.parametrize("name", ["dataset.json", "index.jsonl"])
def test_a_missing_table_says_how_it_is_made(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing; .*`finer1 data add`"):
        read(folder)


def test_an_empty_index_is_refused(folder):
    (folder / "index.jsonl").write_text("")
    with pytest.raises(ValueError, match="holds no row"):
        read(folder)


def test_sides_are_those_of_the_index(folder):
    assert Counter(i.official for i in read(folder).images) == {"train": 2, "test": 2}


@pytest.mark.parametrize("name", ["world", "bird", "aircraft", "content"])
def test_a_name_of_the_project_is_taken(name):
    with pytest.raises(ValueError, match="taken"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["", "../x", "Beetles", "a b", "a.b", "-a", "a" * 65, "k\u00e4fer"]
)
def test_a_name_that_is_no_plain_word_is_refused(name):
    with pytest.raises(ValueError, match="lower-case letters"):
        check_name(name)
