"""The picture of a group, checked at its pixels."""

import itertools
from types import SimpleNamespace

import pytest
from PIL import Image

from finer1.tapo.rewards import score_completion
from finer1.tapo.shading import shade
from finer1.tapo.sheets import _RIGHT, _WRONG, LINE, MARGIN, MAX_LINES, WIDTH, draw_sheet

ANSWERS = ("tern", "gull", "tern", "auk")


@pytest.fixture
def draw(settings):
    """Draw the group of four answers, each token of the second with this KL."""
    settings = settings.model_copy(update={"anchor_rollouts": 2, "positive_rollouts": 2})

    def sheet(kl=0.0, num_tokens=3, answers=ANSWERS, **changes):
        texts = [f"<answer>{answer}</answer>" for answer in answers]
        rewards = [score_completion(text, "tern", ("tern", "gull", "auk"), settings)
                   for text in texts]  # fmt: skip
        group = SimpleNamespace(
            prompt=SimpleNamespace(
                label="tern",
                question="What kind of bird is this?\nOptions: tern; gull; auk.",
                anchor=Image.new("RGB", (64, 64), "navy"),
                positive=Image.new("RGB", (600, 300), "teal"),
                negative=Image.new("RGB", (30, 90), "olive"),
                negative_label="gull",
            ),
            texts=texts,
            rewards=rewards,
            accuracies=[reward.accuracy for reward in rewards],
        )
        tokens = [[(" word", kl if i == 1 else 0.0)] * num_tokens for i in range(4)]
        return draw_sheet(group, tokens, settings.model_copy(update=changes), step=20)

    return sheet


def colours(image):
    return {colour for _, colour in image.getcolors(image.width * image.height)}


def test_the_sheet_shows_all_three_images_whole(draw):
    sheet = draw()
    counts = {colour: count for count, colour in sheet.getcolors(sheet.width * sheet.height)}
    # Sides of 216 at most, each in its own proportions.
    assert counts[(0, 0, 128)] == 216 * 216
    assert counts[(0, 128, 128)] == 216 * 108
    assert counts[(128, 128, 0)] == 72 * 216


def test_a_token_is_shaded_by_its_kl(draw):
    # The line of the second answer alone; the scale shows other values of the same hue.
    dark, pale = (sum(n for n, c in draw(kl).crop((0, 320, WIDTH, 9999)).getcolors(9999)
                      if c == shade(5.0)) for kl in (5.0, 0.0))  # fmt: skip
    assert pale == 0
    assert dark > 3 * 40 * 10  # three words of about 40 x 20 pixels, less their ink


def test_right_answers_come_first_each_with_a_bar(draw):
    sheet = draw()
    column = [sheet.getpixel((MARGIN + 2, y)) for y in range(320, sheet.height)]
    bars = [a for a, b in itertools.pairwise(column) if a != b and a in (_RIGHT, _WRONG)]
    assert bars == [_RIGHT, _RIGHT, _WRONG, _WRONG]


def test_a_long_completion_is_cut_in_the_middle(draw):
    # 26 words fill a line. Of each of the four completions one line says what is left out.
    cut = draw(num_tokens=30 * MAX_LINES).height
    assert cut == draw(num_tokens=20).height + 4 * LINE * MAX_LINES
    assert cut == draw(num_tokens=35 * MAX_LINES).height


def test_equal_groups_give_equal_sheets(draw):
    assert draw(kl=1.0).tobytes() == draw(kl=1.0).tobytes()


def test_an_answer_of_several_lines_is_drawn_on_one(draw):
    several = draw(answers=("tern", "gull", "tern", "a\n\nb"))
    assert several.tobytes() == draw(answers=("tern", "gull", "tern", "a b")).tobytes()


def test_a_blackened_negative_is_called_so(draw):
    assert draw().tobytes() != draw(negative_image="blackened").tobytes()
