"""`finer1 improve` as a user types it, after `finer1 data add` of drawn images."""

import io

import numpy as np
import pytest
from PIL import Image

from finer1.own.corrections import Corrections
from finer1.own.dataset import read
from finer1.params import load_params
from flows.values import data_differences

KEY = ("beetles", "beetle", "ruby")


def picture(seed):
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((48, 48)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def beetles(tmp_path_factory):
    """Four classes of seven images each."""
    root = tmp_path_factory.mktemp("photos") / "beetles"
    for place, name in enumerate(("golden", "green_tiger", "ruby", "violet")):
        for number in range(7):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(place * 7 + number))
    return root


@pytest.fixture
def corrections(project):
    return Corrections(project / "data/corrections")


def add(corrections, seed, key=KEY):
    return corrections.add(picture(seed), key, "violet", "engine:abc", "me")


@pytest.mark.slow
def test_corrected_images_are_taken_once_and_the_next_run_reads_the_data_anew(
    finer1, project, beetles, corrections
):
    assert finer1("data", "add", beetles, "--category", "beetle")[0] == 0
    add(corrections, 100)
    add(corrections, 101, ("world", "bird", "elm wren"))
    tested = next(i for i in read(project / "data/own/beetles").images if i.official == "test")
    refused = corrections.add(tested.source.read_bytes(), KEY, None, "engine:abc", "me")
    params = load_params(project / "params.yaml")
    before = data_differences(None, params, project)["download.content"]
    code, text = finer1("improve")
    assert code == 0
    assert "\nadded     1 to beetles: ruby\n" in text
    told = f"\nrefused   {refused.sha256[:12]} (ruby): it is the same file as beetles/"
    assert told + tested.path in text
    assert "left      1 of world, which is no dataset of your own in this run\n" in text
    assert "\nnext: finer1 run\n" in text
    assert data_differences(None, params, project)["download.content"] != before
    code, text = finer1("improve")
    assert (code, "\nadded" in text, "next:" in text, "= rows" in text) == (0, False, False, False)
    assert "\nthere     1 in beetles since an earlier call\n" in text


@pytest.mark.slow
def test_what_the_next_run_will_not_train_on_is_told(finer1, project, beetles, corrections):
    assert finer1("data", "add", beetles, "--category", "beetle", "--tapo-shots", "1")[0] == 0
    for seed in (100, 101):
        add(corrections, seed)
    code, text = finer1("improve")
    assert code == 0
    assert "note      ruby: 1 of 2 corrected images are trained on, as split.tapo_shots" in text


def test_the_drawn_world_takes_no_images_and_says_what_to_do(finer1, corrections):
    add(corrections, 100, ("world", "bird", "elm wren"))
    code, text = finer1("improve")
    assert code == 2
    assert "(world) take no further images, since they are drawn or published" in text
    assert "finer1 data add FOLDER --category WORD" in text


def test_outside_of_a_project_the_folder_is_named(finer1, project):
    (project / "params.yaml").unlink()
    code, text = finer1("improve")
    assert code == 2
    assert "has no params.yaml; run it in a project folder" in text


def test_without_a_correction_the_page_is_named(finer1):
    code, text = finer1("improve")
    assert code == 2
    assert "holds no correction; make some on the page of finer1 app" in text
