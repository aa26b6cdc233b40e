from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from finer1.evaluation.strategies import ask
from finer1.records import Question
from finer1.tapo import stream as stream_module
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


def test_the_order_of_an_epoch_is_made_once(stream, monkeypatch):
    hashed, draw = [], stream_module.draw
    monkeypatch.setattr(stream_module, "draw", lambda *names: hashed.append(names) or draw(*names))
    source = stream()
    orders = [[source.triplet(4 * e + i).anchor for i in range(4)] for e in (0, 1, 0, 1)]
    assert orders[:2] == orders[2:]
    assert len(hashed) == 2 * 4  # epochs x anchors
    source.triplet(8)
    assert list(source._orders) == [1, 2]  # no more are kept


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


def test_prompts_are_taken_in_a_row(stream):
    assert stream().take(3, 4, {}) == [3, 4, 5, 6]
    assert stream(explore_rate=0.5).take(3, 4, {"a0": 0}) == [3, 4, 5, 6]


def test_degenerate_anchors_are_passed_over(stream, triplets):
    source = stream(explore_rate=1e-6)
    streaks = {triplet.anchor: int(triplet.label == "a") for triplet in triplets}
    numbers = source.take(0, 6, streaks)
    assert [source.triplet(number).label for number in numbers] == ["b"] * 6
    # The two anchors of b once per epoch of four.
    assert [number // 4 for number in numbers] == [0, 0, 1, 1, 2, 2]
    assert source.take(numbers[2], 4, streaks) == numbers[2:]  # a continued run takes the same


def test_the_chance_falls_with_each_degenerate_group(stream, triplets):
    source = stream(explore_rate=0.5)
    taken = source.take(0, 1000, {triplet.anchor: 1 for triplet in triplets})
    # Half of the numbers: 2000 on average, standard deviation sqrt(1000 x 0.5) / 0.5 = 45.
    assert 1800 < taken[-1] < 2200


def test_a_stream_of_degenerate_anchors_ends_nowhere(stream, triplets):
    # After an epoch of four that was passed over one is taken all the same.
    source = stream(explore_rate=1e-6)
    assert source.take(0, 3, {triplet.anchor: 9 for triplet in triplets}) == [4, 9, 14]


@pytest.fixture
def alone(triplets, settings):
    """A stream whose anchors have no other image of their sub-category."""

    def build(seed=0, read=None, **changes):
        rows = [replace(triplet, positives=(triplet.anchor,)) for triplet in triplets]
        changed = settings.model_copy(update=changes)
        return PromptStream(rows, read or ramp, {"bird": ("a", "b")}, changed, 8, seed)

    return build


def ramp(name):
    pixels = np.arange(32 * 32 * 3).reshape(32, 32, 3) % 200 + int(name[1])
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("augmented", [False, True])
def test_a_positive_that_is_the_anchor_is_augmented_always(alone, augmented):
    source = alone(augment=augmented)
    for number in range(20):
        prompt = source.prompt(number)
        assert prompt.positive.size == prompt.anchor.size
        assert prompt.positive.tobytes() != prompt.anchor.tobytes()
    if not augmented:
        assert prompt.anchor.tobytes() == ramp(source.triplet(19).anchor).tobytes()


def test_the_augmented_positive_is_the_same_again(alone):
    source = alone(augment=False)
    early = [look(source.prompt(number)) for number in range(8)]
    assert look(alone(augment=False).prompt(7)) == early[7]
    assert look(alone(augment=False, seed=1).prompt(7)) != early[7]


def test_each_epoch_augments_anew(alone):
    source = alone(augment=False)
    positives = {
        (source.triplet(number).anchor, source.prompt(number).positive.tobytes())
        for number in range(16)
    }
    assert len(positives) == 16  # four epochs of four anchors


def test_an_augmentation_that_changes_nothing_is_mirrored(alone):
    source = alone(augment=False, augment_shift=0.0, augment_brightness=0.0)
    for number in range(8):
        prompt = source.prompt(number)
        assert prompt.positive.tobytes() == ImageOps.mirror(prompt.anchor).tobytes()


def test_other_prompts_do_not_depend_on_a_lone_anchor(stream, alone):
    # Beside lone anchors, a triplet with a positive of its own gives what it always gave.
    source, lone = stream(augment=False), alone(augment=False, read=numbered)
    mixed = PromptStream(
        [*source.triplets[:3], lone.triplets[3]], numbered, source.labels, source.settings, 8, 0
    )
    for number in range(8):
        if source.triplet(number) == mixed.triplet(number):
            assert look(mixed.prompt(number)) == look(source.prompt(number))


def test_a_class_list_names_every_seen_class_in_alphabetical_order(stream):
    opened, listed = stream(), stream(question="class_list", num_options=1)
    for number in range(8):
        prompt = listed.prompt(number)
        assert prompt.question == f"{opened.prompt(number).question}\nOptions: a; b."
        assert look(prompt)[1:] == look(opened.prompt(number))[1:]


@pytest.mark.parametrize("kind", ["open", "closed", "class_list"])
@pytest.mark.parametrize("strategy", ["trained", "think", "direct"])
def test_the_policy_is_asked_in_the_words_of_evaluation(stream, kind, strategy):
    plain = stream(question=kind).prompt(3)
    text, _, options = plain.question.partition("\nOptions: ")
    asked = Question(
        id="x",
        image_id="d/x",
        category="bird",
        label="a",
        seen=True,
        setting="closed" if options else "open",
        text=text,
        options=tuple(options.rstrip(".").split("; ")) if options else (),
        source="open",
    )
    told = stream(question=kind, strategy=strategy).prompt(3)
    assert told.question == ask(asked, strategy, "").user
    assert look(told)[1:] == look(plain)[1:]
