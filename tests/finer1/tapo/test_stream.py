import numpy as np
import pytest
from PIL import Image

from finer1.tapo.stream import PromptStream

READ = []


def numbered(name):
    READ.append(name)
    return Image.new("RGB", (16, 16), (100, 10 * int(name[1]), 50 if name[0] == "a" else 150))


@pytest.fixture
def stream(triplets, settings):
    def build(seed=0, **changes):
        changed = settings.model_copy(update=changes)
        return PromptStream(triplets, numbered, {"bird": ("a", "b")}, changed, 8, seed)

    return build


def look(prompt):
    images = (prompt.anchor, prompt.positive, prompt.negative)
    return prompt.question, prompt.label, *(image.tobytes() for image in images)


def test_an_epoch_passes_over_every_anchor_once(stream, triplets):
    source = stream()
    for epoch in range(3):
        READ.clear()
        for number in range(4 * epoch, 4 * epoch + 4):
            source.prompt(number)
        assert sorted(READ[::3]) == sorted(triplet.anchor for triplet in triplets)


def test_a_prompt_depends_on_seed_and_number_alone(stream):
    late = look(stream().prompt(7))
    source = stream()
    assert [look(source.prompt(number)) for number in range(8)][7] == late
    assert look(stream(seed=1).prompt(7)) != late


def test_epochs_differ_in_order_and_draws(stream):
    source = stream()
    epochs = {tuple(look(source.prompt(4 * e + i)) for i in range(4)) for e in range(4)}
    assert len(epochs) == 4


def test_without_augmentation_the_anchor_is_the_file(stream):
    READ.clear()
    prompt = stream(augment=False).prompt(0)
    assert prompt.anchor.tobytes() == numbered(READ[0]).tobytes()


def test_the_negative_is_of_the_other_sub_category(stream):
    for number in range(8):
        prompt = stream(augment=False).prompt(number)
        blue = {"a": 150, "b": 50}[prompt.label]
        assert prompt.negative.getpixel((0, 0))[2] == blue


def test_a_blackened_negative_is_the_anchor_with_dark_patches(stream):
    # 16 x 16 pixels are four 8 x 8 patches; 0.6 x 4 rounds to 2.
    prompt = stream(negative_image="blackened", augment=False).prompt(0)
    negative, anchor = np.asarray(prompt.negative), np.asarray(prompt.anchor)
    dark = (negative == 0).all(axis=-1)
    assert dark.sum() == 2 * 64
    assert (negative[~dark] == anchor[~dark]).all()
