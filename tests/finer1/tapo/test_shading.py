import pytest

from finer1.tapo.shading import DARK_KL, fit, kl_at, load_font, scale_position, shade, wrap


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    linear = [
        c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in colour
    ]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_no_kl_is_white_and_more_is_darker():
    assert shade(0.0) == (255, 255, 255)
    brightness = [luminance(shade(kl)) for kl in (0.0, 0.01, 0.1, 1.0, DARK_KL)]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 5


def test_above_the_scale_nothing_gets_darker_and_rounding_below_0_is_0():
    assert shade(100.0) == shade(DARK_KL)
    assert shade(-1e-8) == shade(0.0)


def test_black_text_can_be_read_on_every_shade():
    # WCAG asks for 7 to 1 at its highest level.
    assert (luminance(shade(DARK_KL)) + 0.05) / 0.05 > 7


@pytest.mark.parametrize("kl", [0.0, 0.02, 0.5, 9.0])
def test_the_scale_can_be_read_backwards(kl):
    assert kl_at(scale_position(kl)) == pytest.approx(kl)


def test_lines_fit_and_break_before_a_space():
    font = load_font("Sans")
    tokens = [("al", 0.0), ("batross", 1.0)] + [(" tern", 0.5)] * 50
    lines = wrap(tokens, font, 200)
    assert len(lines) > 5
    assert all(sum(font.getlength(text) for text, _ in line) <= 200 for line in lines)
    assert {line[0][0] for line in lines[1:]} == {"tern"}  # the space is left at the break
    assert sum(len(line) for line in lines) == 52
    assert lines[0][:2] == tokens[:2]  # a name in two tokens stays together


def test_a_word_longer_than_a_line_is_broken_between_tokens():
    lines = wrap([("0123456789", 0.0)] * 10, load_font("Sans"), 200)
    assert [len(line) for line in lines] == [2, 2, 2, 2, 2]  # a token is about 95 pixels wide


def test_line_ends_do_not_break_the_drawing():
    ((token,),) = wrap([("a\n\tb", 0.0)], load_font("Sans"), 200)
    assert token == ("a  b", 0.0)


def test_text_that_does_not_fit_says_so():
    font = load_font("Sans")
    assert fit("tern", font, 200) == "tern"
    short = fit("tern" * 50, font, 200)
    assert short.endswith("...")
    assert font.getlength(short) <= 200
