import open_clip
import pytest
import torch
from PIL import Image

from finer1.embeddings import EmbeddingStore
from finer1.encoders.interface import TextImageEncoder
from finer1.encoders.open_clip import load_open_clip
from finer1.evaluation.clip import choose_options, embed_names
from finer1.evaluation.clip_templates import ONE, clip_templates
from finer1.evaluation.options import score_names
from finer1.records import ImageRecord, Question
from finer1.zoo.entry import read_entry


def image(number=0):
    key = f"{number:064x}"
    return ImageRecord(f"w/{number}", "w", "bird", "wren", None, key, "0" * 16, "test")


def closed(options=("wren", "robin", "tern"), number=0):
    return Question(
        f"closed/w/{number}", f"w/{number}", "bird", "wren", True, "closed", "?", options, "random"
    )


def encoder(spoken):
    """Texts by their embedding; images are made by `embed`."""

    def encode_texts(texts):
        return torch.tensor([spoken[text] for text in texts])

    return TextImageEncoder("open_clip:x", "0" * 64, lambda _: torch.zeros(1, 2), encode_texts)


def choose(spoken, questions, looks=((0.0, 5.0),), templates=("{}",)):
    images = {f"w/{number}": image(number) for number in range(len(looks))}
    return choose_options(
        questions,
        images,
        encoder(spoken),
        lambda _, asked: torch.tensor([looks[int(item.id[2:])] for item in asked]),
        templates,
    )


def test_the_option_of_the_largest_cosine_is_chosen_whatever_the_length():
    # With (0, 5): cosines 0.8, 0.6, 1; the longest text is not the nearest.
    spoken = {"wren": (3.0, 4.0), "robin": (40.0, 30.0), "tern": (0.0, 0.1)}
    assert choose(spoken, [closed()]) == ["tern"]


def test_only_the_options_of_the_question_are_chosen_from():
    spoken = {"wren": (3.0, 4.0), "robin": (4.0, 3.0), "tern": (0.0, 0.1)}
    assert choose(spoken, [closed(("robin", "wren")), closed()]) == ["wren", "tern"]


def test_equally_near_options_are_chosen_from_by_name_not_by_place():
    spoken = {"wren": (3.0, 4.0), "robin": (3.0, 4.00000001), "tern": (1.0, 0.0)}
    for options in (("wren", "robin", "tern"), ("robin", "tern", "wren")):
        assert choose(spoken, [closed(options)]) == ["robin"]


def test_a_question_without_options_is_refused():
    with pytest.raises(ValueError, match="closed/w/0 has no options; a CLIP model answers closed"):
        choose({}, [closed(())])


def test_several_templates_give_the_mean_of_unit_vectors_at_length_1():
    # a: (2, 0) -> (1, 0); b: (0, 0.5) -> (0, 1); their mean (.5, .5) at length 1.
    spoken = {"a wren": (2.0, 0.0), "b wren": (0.0, 0.5)}
    rows = embed_names(["wren"], encoder(spoken), ("a {}", "b {}"))
    torch.testing.assert_close(rows, torch.full((1, 2), 0.5**0.5, dtype=torch.float64))


def test_the_mean_is_over_the_templates_of_each_name():
    # wren: (1, 0) and (0, 1); tern: twice (0, 1), however long.
    spoken = {
        "a wren": (1.0, 0.0),
        "b wren": (0.0, 1.0),
        "a tern": (0.0, 2.0),
        "b tern": (0.0, 3.0),
    }
    rows = embed_names(["wren", "tern"], encoder(spoken), ("a {}", "b {}"))
    expected = torch.tensor([[0.5**0.5, 0.5**0.5], [0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(rows, expected)


def test_all_texts_are_encoded_in_one_call():
    calls = []

    def encode_texts(texts):
        calls.append(len(texts))
        return torch.ones(len(texts), 2)

    tower = TextImageEncoder("open_clip:x", "0" * 64, lambda _: torch.zeros(1, 2), encode_texts)
    embed_names(["wren", "tern", "robin"], tower, ("a {}", "b {}"))
    assert calls == [6]


def test_the_80_templates_are_those_that_open_clip_has():
    published = tuple(template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES)
    assert clip_templates("imagenet80") == published
    assert len(published) == 80


def test_the_one_template():
    assert [template.format("wren") for template in clip_templates("one")] == ["a photo of a wren"]


def test_each_image_and_each_name_is_embedded_once(tiny_clip, tmp_path):
    found = load_open_clip(f"open_clip:{tiny_clip}", tiny_clip, "cpu")
    seen = {"images": 0, "texts": []}

    def encode(images):
        seen["images"] += len(images)
        return found.encode(images)

    def encode_texts(texts):
        seen["texts"] += texts
        return found.encode_texts(texts)

    counted = TextImageEncoder(found.name, found.sha256, encode, encode_texts)
    store = EmbeddingStore(tmp_path)
    images = {f"w/{number}": image(number) for number in range(3)}

    def embed(tower, asked):
        def read(key):
            return Image.new("RGB", (40, 40), (int(key[2:]) * 80, 0, 0))

        return store.embed(tower, asked, read, "clip")

    questions = [closed(number=number) for number in (0, 1, 2, 0)]
    chosen = choose_options(questions, images, counted, embed, (ONE,))
    assert chosen[0] == chosen[3]
    assert (seen["images"], len(seen["texts"])) == (3, 3)
    # Options by the same encoder take the same embeddings, and so do triplets.
    names = {("w", "bird"): ("wren", "robin", "tern")}
    score_names([*images.values()], embed(counted, [*images.values()]), names, counted, 2)
    assert seen["images"] == 3


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("clip_vit_l_14_336", "CLIP-L"),
        ("clip_eva01_g_14", "EVA-G"),
        ("clip_siglip_l_16_384", "SigLIP-L"),
        ("clip_siglip2_l_16_384", "SigLIP2-L"),
    ],
)
def test_the_papers_models_are_in_the_zoo_by_names_that_open_clip_lists(repository, file, title):
    entry = read_entry(repository / f"finer1/zoo/{file}.yaml")
    assert (entry.title, entry.kind) == (title, "clip")
    assert tuple(entry.model.split(":")[1:]) in open_clip.list_pretrained()
