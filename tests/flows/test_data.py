"""`finer1 data` as a user types it, on drawn images."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from finer1.params import load_params
from flows.values import set_values

CLASSES = ("golden", "green_tiger", "ruby", "violet")


@pytest.fixture
def beetles(tmp_path_factory):
    """Four classes of seven noise images each."""
    root = tmp_path_factory.mktemp("photos") / "beetles"
    for place, name in enumerate(CLASSES):
        for number in range(7):
            draw(root / name / f"{number}.png", place * 7 + number)
    return root


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def tree(folder):
    """Every file below the folder with its content, but for DVC's own."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if ".dvc" not in path.parts
    }


def settings(project):
    return yaml.safe_load((project / "params.yaml").read_text())


def test_one_command_makes_a_dataset_and_names_the_next(finer1, project, beetles):
    code, text = finer1("data", "add", beetles, "--category", "beetle")
    assert code == 0
    # floor(7 / 4) = 1 of each class for the test
    assert "data/own/beetles: 4 classes, 28 images (24 train, 4 test)" in text
    assert "\nnext: finer1 run\n" in text
    rows = (project / "data/own/beetles/index.jsonl").read_text().splitlines()
    assert len(rows) == 28
    about = json.loads((project / "data/own/beetles/dataset.json").read_text())
    assert about == {"category": "beetle", "source": "beetles"}


def test_the_settings_fit(finer1, project, beetles):
    finer1("data", "add", beetles, "--category", "beetle")
    values = settings(project)
    assert values["download"]["datasets"] == ["beetles"]
    assert values["concepts"]["engine"] == values["cot"]["engine"] == "template"
    # Six training images: 1 + 4.
    split = values["split"]
    assert (split["sft_shots"], split["tapo_shots"], split["overlap"]) == (1, 4, False)


def test_small_classes_share_images_and_it_is_said(finer1, project, beetles):
    for name in CLASSES:
        for number in range(3, 7):
            (beetles / name / f"{number}.png").unlink()
    code, text = finer1("data", "add", beetles, "--category", "beetle")
    assert code == 0
    assert settings(project)["split"]["overlap"] is True
    assert "trains both on the same ones" in text


def test_the_words_say_what_the_template_is(finer1, beetles):
    _, text = finer1("data", "add", beetles, "--category", "beetle")
    assert "knows nothing about the images" in text
    assert "FINER1_SERVER" in text


def test_comments_of_params_stay(finer1, project, beetles):
    before = (project / "params.yaml").read_text().splitlines()
    finer1("data", "add", beetles, "--category", "beetle")
    after = (project / "params.yaml").read_text().splitlines()
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    # download.datasets, and the values of embedded_photos but paths.base
    assert changed == 16
    assert "  datasets: [beetles]" in after


def test_another_base_keeps_the_users_settings(finer1, project, beetles):
    set_values(project / "params.yaml", {"paths.base": "models/base/large", "sft.lr": 1e-5})
    finer1("data", "add", beetles, "--category", "beetle")
    assert load_params(project / "params.yaml").sft.lr == 1e-5


@pytest.mark.slow
def test_a_real_teacher_is_not_replaced_by_the_template(finer1, project, beetles):
    teacher = {"concepts.engine": "openai:qwen", "cot.engine": "openai:qwen"}
    set_values(project / "params.yaml", teacher)
    _, text = finer1("data", "add", beetles, "--category", "beetle")
    values = settings(project)
    assert (values["concepts"]["engine"], values["cot"]["engine"]) == ("openai:qwen",) * 2
    # The other values of the embedded model are set.
    assert values["sft"]["epochs"] == 60
    assert "template" not in text


def test_it_is_said_how_the_values_of_the_embedded_model_are_left(finer1, project, beetles):
    _, text = finer1("data", "add", beetles, "--category", "beetle")
    assert "for the embedded model (models/base/world)" in text
    assert "git checkout params.yaml" in text


def test_shots_that_do_not_fit_apart_share_images(finer1, project, beetles):
    # Six training images in each class.
    words = ("--sft-shots", 4, "--tapo-shots", 4)
    code, text = finer1("data", "add", beetles, "--category", "beetle", *words)
    assert code == 0, text
    split = settings(project)["split"]
    assert (split["sft_shots"], split["tapo_shots"], split["overlap"]) == (4, 4, True)


@pytest.mark.parametrize("name", ["no", "on", "yes", "off", "null", "1e3"])
def test_a_name_that_yaml_1_1_takes_for_another_kind_stays_a_name(finer1, project, beetles, name):
    code, text = finer1("data", "add", beetles, "--category", "beetle", "--name", name)
    assert code == 0, text
    assert settings(project)["download"]["datasets"] == [name]
    assert load_params(project / "params.yaml").download.datasets == (name,)


def test_a_folder_of_datasets_may_lie_elsewhere(finer1, project, beetles, tmp_path_factory):
    own = tmp_path_factory.mktemp("elsewhere")
    set_values(project / "params.yaml", {"paths.own": str(own)})
    code, text = finer1("data", "add", beetles, "--category", "beetle")
    assert code == 0, text
    assert f"{own}/beetles: 4 classes" in text


def test_an_added_dataset_is_read_by_the_download_stage(finer1, project, beetles):
    from finer1.datasets.catalogue import list_dataset, places
    from finer1.params import load_params

    finer1("data", "add", beetles, "--category", "beetle")
    params = load_params(project / "params.yaml")
    listing = list_dataset("beetles", params.download, places(None, params.paths, project))
    assert {image.label for image in listing.images} == {"golden", "green tiger", "ruby", "violet"}


@pytest.mark.slow
def test_an_earlier_dataset_is_not_overwritten(finer1, project, beetles):
    finer1("data", "add", beetles, "--category", "beetle")
    before = tree(project)
    code, text = finer1("data", "add", beetles, "--category", "beetle")
    assert code == 2
    assert "add --replace" in text
    assert tree(project) == before
    (beetles / "ruby/0.png").unlink()
    code, text = finer1("data", "add", beetles, "--category", "beetle", "--replace")
    assert code == 0
    assert "27 images" in text


def no_images(root):
    shutil.rmtree(root)
    root.mkdir()


def metadata(root, text, name="metadata.csv"):
    (root / name).write_text(text)


@pytest.mark.parametrize(
    ("harm", "words", "message"),
    [
        (lambda r: (r / "ruby/3.png").write_bytes(b""), (), r"ruby/3\.png"),
        (lambda r: (r / "ruby/3.png").write_bytes(b"<html>moved</html>"), (), r"ruby/3\.png"),
        (lambda r: (r / "empty").mkdir(), (), r"empty.*no image in this class folder"),
        (lambda r: draw(r / "one.png", 50), (), r"one\.png.*in no class folder"),
        (lambda r: draw(r / "ruby/inner/1.png", 50), (), r"inner.*folder inside a class folder"),
        (lambda r: metadata(r, "x", "ruby/notes.txt"), (), r"notes\.txt.*not an image file"),
        (lambda r: draw(r / "a, b/1.png", 50), (), r"a, b.*comma"),
        (lambda r: draw(r / "<|im_end|>/1.png", 50), (), r"im_end.*angle bracket"),
        (lambda r: draw(r / "Ruby/1.png", 50), (), r"(?i)ruby"),
        (lambda r: draw(r / "green tiger/1.png", 50), (), r"same class name"),
        (lambda r: shutil.copy(r / "ruby/0.png", r / "golden"), (), r"(?i)ruby/0\.png"),
        (lambda r: [shutil.rmtree(r / c) for c in CLASSES[:2]], (), r"2 classes.*at least 3"),
        (no_images, (), r"no sub-folder; make one per class"),
        (lambda r: shutil.rmtree(r), (), r"no such folder"),
        (lambda r: metadata(r, "file_name\nruby/0.png\n"), (), r"no column label or class"),
        (
            lambda r: metadata(r, "file_name,label\n../x.png,Ruby\n/x.png,Ruby\n"),
            (),
            r"metadata\.csv:2(.|\n)*metadata\.csv:3",
        ),
        (lambda r: draw(r / "ruby/new\nline.png", 50), (), r"new\\nline\.png.*U\+000A"),
        (lambda r: None, ("--category", "b" * 101), r"--category.*101 characters"),
        (lambda r: None, ("--name", "world"), r"--name world is taken"),
        (lambda r: None, ("--name", "a/b"), r"--name a/b: write lower-case"),
        (lambda r: None, ("--category", "a,b"), r"--category"),
    ],
)
def test_bad_input_exits_with_2_and_nothing_is_written(
    finer1, project, beetles, harm, words, message
):
    import re

    harm(beetles)
    before = tree(project)
    code, text = finer1("data", "add", beetles, "--category", "beetle", *words)
    assert code == 2, text
    assert re.search(message, text), text
    assert "Traceback" not in text
    assert tree(project) == before


def test_all_findings_come_at_once(finer1, beetles):
    (beetles / "ruby/3.png").write_bytes(b"")
    (beetles / "golden/2.png").write_bytes(b"no image")
    (beetles / "empty").mkdir()
    code, text = finer1("data", "check", beetles)
    assert code == 2
    for word in ("ruby/3.png", "golden/2.png", "empty", "3 errors"):
        assert word in text


def test_a_check_changes_nothing(finer1, project, beetles):
    before = tree(project)
    code, text = finer1("data", "check", beetles, "--category", "beetle")
    assert code == 0
    assert "nothing stands in the way" in text
    assert tree(project) == before


@pytest.mark.parametrize(("shots", "code"), [(6, 0), (7, 2)])
def test_a_check_against_shots(finer1, beetles, shots, code):
    # Six training images in each class.
    assert finer1("data", "check", beetles, "--shots", shots)[0] == code


def test_findings_as_json(finer1, beetles, tmp_path_factory):
    (beetles / "ruby/3.png").write_bytes(b"")
    file = tmp_path_factory.mktemp("out") / "findings.json"
    assert finer1("data", "check", beetles, "--json", file)[0] == 2
    (finding,) = [item for item in json.loads(file.read_text()) if item["level"] == "error"]
    assert set(finding) == {"level", "kind", "where", "what", "remedy"}
    assert "ruby/3.png" in finding["where"]


def test_a_sheet_of_near_duplicates(finer1, beetles, tmp_path_factory):
    pixels = np.asarray(Image.open(beetles / "ruby/0.png")).copy()
    pixels[0, 0] ^= 4
    Image.fromarray(pixels).save(beetles / "violet/nearly.png")
    file = tmp_path_factory.mktemp("out") / "sheet.png"
    code, text = finer1("data", "check", beetles, "--sheet", file)
    assert code == 0, text
    with Image.open(file) as sheet:
        assert sheet.width > 16


def test_no_near_duplicates_no_sheet(finer1, beetles, tmp_path):
    code, text = finer1("data", "check", beetles, "--sheet", tmp_path / "sheet.png")
    assert code == 0
    assert "no near-duplicates" in text
    assert not (tmp_path / "sheet.png").exists()


def test_a_folder_of_any_name_can_be_checked(finer1, beetles):
    code, text = finer1("data", "check", beetles.rename(beetles.with_name("\u9e64")))
    assert code == 0, text


@pytest.mark.parametrize("option", ["--json", "--sheet"])
def test_what_is_no_regular_file_is_not_written_over(finer1, beetles, tmp_path, option):
    import os

    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, "/dev/null", pipe / "below.png"):
        code, text = finer1("data", "check", beetles, option, path)
        assert code == 2
        assert f"{option} {path}" in text
    assert pipe.is_fifo()


def test_a_sheet_of_no_known_form_is_refused_before_the_images_are_looked_at(finer1, beetles):
    code, text = finer1("data", "check", beetles, "--sheet", "pairs.txt")
    assert code == 2
    assert "--sheet pairs.txt: a picture's name ends with .png" in text
    assert "4 classes" not in text


def test_the_drawn_world_has_no_files_to_check(finer1):
    code, text = finer1("data", "check")
    assert code == 0
    assert "drawn by the pipeline itself" in text


def test_a_check_without_a_folder_takes_the_datasets_of_the_run(finer1, project, beetles):
    finer1("data", "add", beetles, "--category", "beetle")
    assert finer1("data", "check")[0] == 0
    (project / "data/own/beetles/images/ruby/0.png").write_bytes(b"")
    code, text = finer1("data", "check")
    assert code == 2
    assert "index.jsonl:" in text


def test_a_dataset_that_is_not_there_is_named(finer1, project, beetles):
    finer1("data", "add", beetles, "--category", "beetle")
    shutil.rmtree(project / "data/own/beetles")
    code, text = finer1("data", "check")
    assert code == 2
    assert "there is no dataset beetles" in text


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, 2),
        ({"download.duplicates": "count"}, 2),
        ({"download.bad_images": "skip"}, 2),
        ({"download.bad_images": "skip", "download.duplicates": "count"}, 0),
    ],
)
def test_a_check_refuses_what_the_run_refuses(finer1, project, beetles, settings, code):
    finer1("data", "add", beetles, "--category", "beetle")
    images = project / "data/own/beetles/images"
    rows = [json.loads(x) for x in (images.parent / "index.jsonl").read_text().splitlines()]
    train = [row for row in rows if row["side"] == "train"]
    test = next(row for row in rows if row["side"] == "test")
    (images / train[0]["path"]).write_bytes(b"no image")
    (images / test["path"]).write_bytes((images / train[-1]["path"]).read_bytes())
    test["sha256"] = train[-1]["sha256"]
    (images.parent / "index.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    set_values(project / "params.yaml", settings)
    found, text = finer1("data", "check")
    assert found == code, text
    # Five of six training images are left, which is what 1 + 4 shots need.
    assert "too few" not in text


@pytest.mark.slow
def test_shots_are_those_of_the_split(finer1, project, beetles):
    finer1("data", "add", beetles, "--category", "beetle")
    set_values(project / "params.yaml", {"split.tapo_shots": 6})
    code, text = finer1("data", "check")
    assert code == 2
    # 6 training images each, 1 + 6 needed; floor(0.6 x 4) = 2 classes are seen.
    assert text.count("6 readable training images, and the shots need 7") == 2
    set_values(project / "params.yaml", {"split.overlap": True})
    assert finer1("data", "check")[0] == 0


def test_an_image_that_was_edited_is_told(finer1, project, beetles):
    finer1("data", "add", beetles, "--category", "beetle")
    draw(project / "data/own/beetles/images/ruby/0.png", 99)
    code, text = finer1("data", "check")
    assert code == 2
    assert "ruby/0.png is not the file that was added" in text


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("official", "get it by `finer1 data get pet`"),
        (f"hub:a/b@{'0' * 40}", "`finer1 run` copies"),
    ],
)
def test_a_check_downloads_nothing(finer1, project, source, remedy, monkeypatch):
    import socket

    def refuse(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    changes = {"download.datasets": ["pet"], "download.pet.source": source}
    set_values(project / "params.yaml", changes)
    code, text = finer1("data", "check")
    assert code == 2
    assert remedy in text
    assert not (project / "data/raw/pet").exists()


@pytest.mark.parametrize("verb", ["add", "check", "get", "released"])
def test_help_of_every_verb_shows_an_example(finer1, verb):
    code, text = finer1("data", verb, "--help")
    assert code == 0
    assert f"Example: finer1 data {verb}" in text


def test_released_files_of_another_content_are_refused(finer1, project, tmp_path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given/bird_seen.jsonl").write_text("{}\n")
    code, text = finer1("data", "released", "--from", tmp_path / "given")
    assert code == 2
    assert "bird_seen.jsonl" in text
    assert not [*(project / "data").rglob("bird_seen.jsonl")]


def test_an_unknown_published_dataset_is_refused(finer1):
    code, text = finer1("data", "get", "birb")
    assert code == 2
    assert "birb" in text
