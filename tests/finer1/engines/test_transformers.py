import json
import shutil

import pytest
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sampling
from finer1.engines.transformers import load
from finer1.files import sha256_folder

GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)


def engine(folder, name=None):
    return load(EngineSettings(model=folder, labels={}, device="cpu", named_model=name))


def request(seed=0):
    image = Image.new("RGB", (32, 32), "teal")
    return Request("What is it?", (image,), ("hash",), seed=seed)


@pytest.fixture
def penalised_model(tiny_model, tmp_path):
    """The tiny model with penalties in its generation_config.json."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    path = folder / "generation_config.json"
    penalties = {"repetition_penalty": 50.0, "no_repeat_ngram_size": 1, "min_new_tokens": 3}
    path.write_text(json.dumps(json.loads(path.read_text()) | penalties))
    return folder


def test_greedy_is_greedy_whatever_the_folder_says(tiny_model, penalised_model):
    plain = engine(tiny_model).generate([request()], GREEDY)
    assert engine(penalised_model).generate([request()], GREEDY) == plain
    # The random model repeats one token, which any of the penalties would forbid.
    assert len(set(plain[0][0].text)) == 1


def test_the_identity_names_number_format_and_content(tiny_model):
    assert engine(tiny_model).identity == f"transformers:float32:{sha256_folder(tiny_model)}"


def test_equal_seeds_give_equal_samples(tiny_model):
    sampling = Sampling(n=2, temperature=1.0, top_p=1.0, max_tokens=8)
    loaded = engine(tiny_model)
    first, again, other = (loaded.generate([request(seed)], sampling) for seed in (1, 1, 2))
    assert first == again != other


def test_an_engine_without_a_folder_is_refused():
    with pytest.raises(ValueError, match="needs a model folder"):
        engine(None)


def test_a_teacher_by_name_answers_as_the_model_of_that_folder(tiny_model):
    teacher = engine(None, str(tiny_model))
    assert teacher.identity == engine(tiny_model).identity
    assert teacher.generate([request()], GREEDY) == engine(tiny_model).generate([request()], GREEDY)
