import io

import numpy as np
import pytest
from PIL import Image

from finer1 import prompts
from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.teacher.caption_prompts import caption_prompt
from finer1.teacher.prompts import concept_list_prompt, rationale_prompt
from finer1.world import teacher
from finer1.world.drawing import draw, png_bytes
from finer1.world.taxonomies import load_taxonomy

WORLD = load_taxonomy("embedded")
WREN = WORLD.find("elm wren")
SAMPLING = Sampling(n=400, temperature=1.0, top_p=1.0, max_tokens=256)
CONCEPTS = ("blue crown", "hooked beak")
QUESTION = prompts.question("bird", 0)


@pytest.fixture(scope="module")
def engine():
    return load_engine("oracle", EngineSettings(model=None, labels={}, device="cpu"))


@pytest.fixture(scope="module")
def image():
    texts = {"category": "bird", "label": WREN.name, "attributes": " ".join(WREN.values)}
    content = png_bytes(draw("bird", WREN.values, 0, 0.8), texts)
    return Image.open(io.BytesIO(content)).convert("RGB")


def rationales(engine, image) -> list[str]:
    user = rationale_prompt("bird", WREN.name, CONCEPTS, QUESTION, 4)
    samples = engine.generate([Request(user, (image,), seed=1)], SAMPLING)[0]
    return [sample.text for sample in samples]


def test_equal_requests_give_equal_samples(engine, image):
    assert rationales(engine, image) == rationales(engine, image)


def test_another_seed_gives_another_caption(engine, image):
    user = caption_prompt("bird", 0)
    sampling = Sampling(n=8, temperature=1.0, top_p=1.0, max_tokens=256)
    first, second = engine.generate(
        [Request(user, (image,), seed=seed) for seed in (0, 1)], sampling
    )
    assert first != second


def test_captions_name_attributes_and_never_the_label(engine, image):
    samples = engine.generate([Request(caption_prompt("bird", 0), (image,))], SAMPLING)[0]
    assert all("bird with" in sample.text for sample in samples)
    assert not any("wren" in sample.text for sample in samples)
    assert np.mean(["blue crown" in sample.text for sample in samples]) > 0.6


def test_candidate_concepts_hold_true_shared_and_wrong_ones(engine):
    user = concept_list_prompt("bird", WREN.name)
    concepts = engine.generate([Request(user)], SAMPLING)[0][0].text.splitlines()
    true = set(teacher.concept_phrases("bird", WREN.values))
    assert true < set(concepts)
    assert len(concepts) == 5 + 3 + 2


def test_most_rationales_parse_and_predict_the_label(engine, image):
    parsed = [prompts.parse_sections(text) for text in rationales(engine, image)]
    # Without format error .95 x right pick .9 = .855; 400 samples have a standard error of .018.
    share = np.mean([item.get("prediction") == WREN.name for item in parsed])
    assert share == pytest.approx(0.855, abs=0.06)
    assert all(WREN.name in item["options"] for item in parsed if item)


def test_attributes_are_misread_at_the_stated_rate(engine, image):
    words = [
        prompts.parse_sections(t).get("analysis", "").split()[:5] for t in rationales(engine, image)
    ]
    right = [a == b for row in words if row for a, b in zip(row, WREN.values, strict=True)]
    # About 1900 readings: standard error .005.
    assert np.mean(right) == pytest.approx(1 - teacher.FLIP_RATE, abs=0.02)


def test_some_rationales_mix_languages(engine, image):
    assert 0 < np.mean([not text.isascii() for text in rationales(engine, image)]) < 0.08


def test_the_engine_refuses_what_it_does_not_know(engine, image):
    with pytest.raises(ValueError, match="no such prompt"):
        engine.generate([Request("Hello", (image,))], SAMPLING)
    with pytest.raises(ValueError, match="embedded world only"):
        engine.generate(
            [Request(caption_prompt("bird", 0), (Image.new("RGB", (64, 64)),))], SAMPLING
        )


def test_the_oracle_of_another_taxonomy_knows_its_classes_and_is_another_engine():
    settings = EngineSettings(model=None, labels={}, device="cpu")
    large = load_engine("oracle:large_0", settings)
    species = load_taxonomy("large_0").species[0]
    request = Request(user=concept_list_prompt(species.category, species.name))
    said = large.generate([request], Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=256))
    assert f"{species.values[0]} crown" in said[0][0].text
    assert large.identity != load_engine("oracle", settings).identity
