import pytest

from finer1.params import load_params
from finer1.teacher.filters import REASONS, judge

KNOWN = frozenset({"Fish Crow", "Crow", "Bewick Wren", "House Wren", "Rock Wren", "Cactus Wren"})
GOOD = {
    "analysis": "The bird is brown with a long tail and a clear white line above the eye.",
    "options": "Bewick Wren, House Wren",
    "comparison": "Bewick Wren has that line; House Wren has none.",
    "prediction": "Bewick Wren",
}


@pytest.fixture
def settings(repository):
    # max_options 4, min_words 10, max_words 1000
    return load_params(repository / "params.yaml").cot


def written(**changes):
    return "".join(f"<{name}>{body}</{name}>" for name, body in (GOOD | changes).items())


def reason(text, settings, label="Bewick Wren"):
    return judge(text, label, KNOWN, settings).reason


def test_good_rationale_passes(settings):
    judgement = judge(written(), "Bewick Wren", KNOWN, settings)
    assert judgement.reason is None
    assert judgement.draft.options == ("Bewick Wren", "House Wren")


@pytest.mark.parametrize(
    "text",
    [
        written().replace("</analysis>", ""),
        written().replace("options>", "candidates>"),
        "Sure! " + written(),
        written(analysis="<answer>Bewick Wren</answer>"),
        written(analysis="").replace("<analysis></analysis>", "") + "<analysis>late</analysis>",
        "",
    ],
)
def test_anything_but_four_sections_in_order_is_rejected(settings, text):
    assert reason(text, settings) == "format"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("Bewick Wren", "option_count"),
        ("Bewick Wren, House Wren, Rock Wren, Cactus Wren, Crow", "option_count"),
        ("Bewick Wren, House Wren, Bewick Wren", "option_repeated"),
        ("Bewick Wren, Winter Wren", "option_unknown"),
        ("House Wren, Rock Wren", "label_not_an_option"),
    ],
)
def test_options_must_be_few_distinct_known_and_hold_the_label(settings, options, expected):
    assert reason(written(options=options), settings) == expected


@pytest.mark.parametrize("name", ["House Wren", "bewick wren", "Bewick Wren.", "a Bewick Wren"])
def test_prediction_must_be_the_label_to_the_letter(settings, name):
    assert reason(written(prediction=name), settings) == "prediction"


def test_comparison_must_mention_every_option(settings):
    assert reason(written(comparison="Bewick Wren fits."), settings) == "comparison"


def test_name_inside_a_longer_name_is_no_mention(settings):
    text = written(
        options="Crow, Fish Crow", comparison="Fish Crow fits best of all.", prediction="Fish Crow"
    )
    assert reason(text, settings, "Fish Crow") == "comparison"


@pytest.mark.parametrize(
    "analysis",
    [
        "The bird is brown with a long tail \u7279\u5f81\u660e\u663e and a white line.",
        "The bird is brown \u0441 \u0434\u043b\u0438\u043d\u043d\u044b\u043c tail.",
        "The bird is brown und hat eine white line above the eye.",
        "The bird est brown avec a long tail.",
    ],
)
def test_mixed_language_is_rejected(settings, analysis):
    assert reason(written(analysis=analysis), settings) == "language"


def test_accents_and_typographic_quotes_are_english_enough(settings):
    analysis = "The bird\u2019s na\u00efve look \u2013 a \u201clong\u201d tail \u2013 is clear."
    assert reason(written(analysis=analysis), settings) is None


@pytest.mark.parametrize(
    "phrase",
    [
        "As the description says, the tail is long.",
        "The text mentions a long tail.",
        "This fits the features provided.",
        "It shows all listed concepts.",
        "The given label agrees.",
        "The concepts you listed are there.",
        "Enclosed Tags follow.",
        "The ground truth is a wren.",
    ],
)
def test_talk_about_the_teachers_input_is_rejected(settings, phrase):
    assert reason(written(analysis=f"{GOOD['analysis']} {phrase}"), settings) == "leak"


@pytest.mark.parametrize(
    "phrase",
    [
        "No image is attached.",
        "I cannot see the bird.",
        "I\u2019m sorry.",
        "As an AI this is hard.",
        "The image is missing.",
    ],
)
def test_refusal_is_rejected(settings, phrase):
    assert reason(written(analysis=f"{GOOD['analysis']} {phrase}"), settings) == "refusal"


def test_length_is_bounded_on_both_sides(settings):
    # 16 + 4 + 9 + 2 words = 31; with 980 more, above 1000
    assert reason(written(), settings.model_copy(update={"min_words": 32})) == "length"
    assert reason(written(), settings.model_copy(update={"min_words": 31})) is None
    long = written(analysis=f"{GOOD['analysis']}{' brown' * 980}")
    assert reason(long, settings) == "length"


def test_every_reason_is_counted_somewhere():
    assert REASONS[0] == "format"
    assert len(set(REASONS)) == 11
