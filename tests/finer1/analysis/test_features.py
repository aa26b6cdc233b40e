from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from finer1.analysis.features import (
    embed_images,
    embed_statements,
    image_means,
    image_token_id,
    last_states,
    load_subject,
    read_states,
)
from finer1.embeddings import EmbeddingStore
from finer1.progress import Progress
from finer1.records import ImageRecord
from finer1.zoo.loading import AskedModel, find_asked
from tests.finer1.engines.families import FAMILIES, build_model


@pytest.fixture(scope="module")
def subject(tiny_model):
    return load_subject(find_asked(tiny_model, Path()), Path(), "cpu", "")


@pytest.fixture(scope="module")
def pictures():
    """Two of different sizes, so that the prompts have different numbers of image tokens."""
    noise = np.random.default_rng(0)
    sizes = ((32, 32, 3), (64, 48, 3))
    return [Image.fromarray(noise.integers(0, 256, size, dtype=np.uint8)) for size in sizes]


def test_the_mean_is_over_exactly_the_image_tokens(subject, pictures):
    states = read_states(subject, pictures, ["What is it?"] * 2, ["", ""])
    means = image_means(states)
    assert len(states.hidden) == means.shape[1] == 2 + 1
    for row, count in enumerate((4, 12)):  # 16 px a token: 2 x 2 and 4 x 3
        places = states.image_mask[row].nonzero().flatten().tolist()
        # By hand: the image's tokens stand in one piece, and the slice is averaged.
        assert places == list(range(places[0], places[0] + count))
        part = states.hidden[1][row, places[0] : places[0] + count]
        assert torch.allclose(means[row, 1], part.mean(dim=0), atol=1e-6)


def test_a_batch_changes_no_state_but_by_rounding(subject, pictures):
    both = read_states(subject, pictures, ["What is it?"] * 2, ["this is a wren", "an owl"])
    for row, answer in enumerate(("this is a wren", "an owl")):
        alone = read_states(subject, pictures[row : row + 1], ["What is it?"], [answer])
        assert torch.allclose(image_means(both)[row], image_means(alone)[0], atol=1e-5)
        assert torch.allclose(last_states(both)[row], last_states(alone)[0], atol=1e-5)


def test_the_question_does_not_reach_the_image_tokens(subject, pictures):
    one = read_states(subject, pictures[:1], ["What is it?"], [""])
    other = read_states(subject, pictures[:1], ["Do you know the bird?"], ["this is a wren"])
    assert torch.allclose(image_means(one), image_means(other), atol=1e-6)
    assert not torch.allclose(last_states(one), last_states(other), atol=1e-3)


def test_the_last_state_is_behind_the_final_norm(subject, pictures):
    states = read_states(subject, pictures[:1], ["What is it?"], [""])
    before, behind = (states.hidden[k].square().mean(dim=-1) for k in (-2, -1))
    # The tiny model's norm has weight 1: mean squares of 1, less what its epsilon takes of states
    # as small as these.
    assert before.max() < 0.01
    assert behind.min() > 0.9
    assert behind.max() <= 1


def test_features_are_computed_once_and_come_in_order(subject, pictures, tmp_path):
    records = [
        ImageRecord(f"d/{n}", "d", category, "x", None, str(n) * 64, "0" * 16, "test")
        for n, category in enumerate(("wren", "car", "wren"))
    ]
    shown = {"d/0": pictures[0], "d/1": pictures[1], "d/2": pictures[1]}
    reads = []

    def read(key):
        reads.append(key)
        return shown[key]

    def embed(every_layer):
        store = EmbeddingStore(tmp_path)
        return embed_images(subject, records, read, store, "A {category}?", every_layer, "x")

    every = embed(True)
    assert every.shape == (3, 3, 48)
    last = embed(False)
    assert torch.allclose(every[:, -1], last, atol=1e-5)
    assert torch.allclose(last[1], last[2], atol=1e-5)
    assert len(reads) == 6
    assert torch.equal(embed(True), every)
    assert len(reads) == 6


def test_a_statement_is_looked_at_by_its_last_token(subject, pictures):
    asked = [("d/0", "What?", "this is a wren"), ("d/0", "What?", "this is a tern")]
    bar = Progress("x", 2, "statements")
    states = embed_statements(subject, asked, lambda key: pictures[0], bar)
    alone = read_states(subject, pictures[:1], ["What?"], ["this is a tern"])
    assert torch.allclose(states[1], alone.hidden[-1][0, -1], atol=1e-5)


def test_a_clip_model_has_no_hidden_states_to_read():
    found = AskedModel("clip", Path("zoo/clip.yaml"), "open_clip:x:y", None, None)
    with pytest.raises(ValueError, match="zoo/clip.yaml is of the kind clip, .* analysis.models"):
        load_subject(found, Path(), "cpu", "")


def test_a_configuration_without_image_token_is_refused():
    class Config:
        model_type = "text_only"

    with pytest.raises(ValueError, match="text_only names no image token"):
        image_token_id(Config())


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_the_zoo_shows_its_image_tokens(family, pictures, tmp_path):
    build_model(family, tmp_path / "model")
    found = find_asked(tmp_path / "model", Path())
    subject = load_subject(found, Path(), "cpu", "")
    states = read_states(subject, pictures, ["What is it?"] * 2, ["this is a wren"] * 2)
    text = subject.model.config.get_text_config()
    means = image_means(states)
    assert means.shape == (2, text.num_hidden_layers + 1, text.hidden_size)
    assert means.isfinite().all()
    # Behind the image stand the question and the statement.
    assert not states.image_mask[:, -14:].any()
    assert not torch.allclose(means[0], means[1])
