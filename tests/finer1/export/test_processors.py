import json
import shutil

import pytest

from finer1.export.processors import NEW_FORM, OLD_FORM, complete_processor
from finer1.policy.folder import load_processor


@pytest.fixture
def complete(tiny_model, tmp_path):
    """A copy of the tiny model, whose folder has the new form alone, completed."""
    shutil.copytree(tiny_model, tmp_path / "model")
    complete_processor(tmp_path / "model")
    return tmp_path / "model"


def settings(folder):
    processor = load_processor(folder)
    parts = (processor.image_processor, processor.video_processor)
    return type(processor), [part.to_dict() for part in parts], processor.chat_template


@pytest.mark.parametrize("gone", [(NEW_FORM,), tuple(OLD_FORM.values())], ids=["old", "new"])
def test_either_form_alone_is_the_same_processor(complete, gone):
    expected = settings(complete)
    for name in gone:
        (complete / name).unlink()
    assert settings(complete) == expected


def test_a_folder_with_the_old_form_gets_the_new_one(complete):
    before = (complete / NEW_FORM).read_bytes()
    expected = settings(complete)
    (complete / NEW_FORM).unlink()
    complete_processor(complete)
    assert json.loads((complete / NEW_FORM).read_text()).keys() == json.loads(before).keys()
    assert settings(complete) == expected


def test_what_is_there_stays(complete):
    before = {path.name: path.read_bytes() for path in complete.iterdir()}
    complete_processor(complete)
    assert {path.name: path.read_bytes() for path in complete.iterdir()} == before
    assert (complete / "chat_template.jinja").is_file()
