import io

import pytest
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, load_engine
from finer1.engines.store import GenerationStore
from finer1.images import write_archive
from finer1.params import load_params
from finer1.records import Concepts, ImageRecord, write_jsonl
from finer1.teacher.asking import CaseOpener, StoredTeacher
from finer1.teacher.prompts import rationale_prompt

PROMPT = rationale_prompt("bird", "wren", ["red eye", "long bill"], "Which?", 4)


def image(number, label="wren"):
    return ImageRecord(
        f"d/{number}.png", "d", "bird", label, None, str(number) * 64, "0" * 16, "train"
    )


def template():
    labels = {"bird": ("crow", "wren")}
    return load_engine("template", EngineSettings(model=None, labels=labels, device="cpu"))


@pytest.fixture
def make_opener(tmp_path):
    """Concepts are known of images 0 and 1, the SFT images of wren; image 2 is another wren."""
    with io.BytesIO() as picture:
        Image.new("RGB", (8, 8), (9, 8, 7)).save(picture, "PNG")
        members = [(f"{number}.png", picture.getvalue()) for number in range(3)]
        write_archive(tmp_path / "images/d.zip", members)
    rows = [Concepts(image(i).id, "wren", ("x",), (f"concept {i}",), (1.0,)) for i in (0, 1)]
    write_jsonl(tmp_path / "concepts.jsonl", rows)

    def make(show_concepts=True):
        places = tmp_path / "concepts.jsonl", tmp_path / "images"
        return CaseOpener(*places, [image(0), image(1)], show_concepts)

    return make


@pytest.fixture
def opener(make_opener):
    return make_opener()


def test_image_with_concepts_has_its_own(opener):
    case = opener.open(image(1))
    assert case.concepts == ("concept 1",)
    assert case.picture.getpixel((0, 0)) == (9, 8, 7)


def test_image_without_concepts_has_those_of_its_class(opener):
    assert opener.open(image(2)).concepts == ("concept 0",)


def test_class_without_concepts_is_named(opener):
    with pytest.raises(ValueError, match="concepts.jsonl: no concepts of d/2.png"):
        opener.open(image(2, "crow"))


def test_a_teacher_that_is_shown_no_concepts_needs_none(make_opener):
    opener = make_opener(show_concepts=False)
    assert opener.open(image(1)).concepts is None
    assert opener.open(image(2, "crow")).picture.getpixel((0, 0)) == (9, 8, 7)


def test_speed_of_what_is_generated_is_logged_and_not_of_what_is_stored(repository, tmp_path):
    engine = template()
    logged = []
    settings = load_params(repository / "params.yaml").cot
    store = GenerationStore(tmp_path, 8)
    teacher = StoredTeacher(engine, store, settings, lambda *item: logged.append(item))
    request = Request(PROMPT)
    (sample,) = teacher.ask([request], 1.0)
    assert teacher.ask([request], 1.0) == [sample]
    assert [step for _, step in logged] == [1]
    teacher.ask([request, Request(PROMPT, seed=1)], 1.0)
    assert [step for _, step in logged] == [1, 3]
    assert teacher.num_made == 2
    rate, seconds = (logged[1][0][f"speed/{name}"] for name in ("samples_per_s", "seconds"))
    assert rate * seconds == pytest.approx(1)  # of two, one was stored
    speeds = logged[0][0]
    # one sample in so many seconds
    assert speeds["speed/samples_per_s"] * speeds["speed/seconds"] == pytest.approx(1)
    tokens = speeds["speed/tokens_per_s"] * speeds["speed/seconds"]
    assert tokens == pytest.approx(sample.num_tokens)
    assert teacher.seconds >= sum(item["speed/seconds"] for item, _ in logged)


def test_temperature_of_the_rung_reaches_the_engine(repository, tmp_path):
    engine = template()
    settings = load_params(repository / "params.yaml").cot
    teacher = StoredTeacher(engine, GenerationStore(tmp_path, 8), settings, lambda *_: None)
    requests = [Request(PROMPT, seed=seed) for seed in range(8)]
    # At temperature 0 the engine takes no notice of the seed.
    assert len({sample.text for sample in teacher.ask(requests, 0.0)}) == 1
    assert len({sample.text for sample in teacher.ask(requests, 0.7)}) > 1
