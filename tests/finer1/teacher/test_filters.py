from collections import Counter

import pytest

from finer1.params import load_params
from finer1.prompts import sections_text
from finer1.reference.classes import released_classes
from finer1.released.rationales import load_released_rationales
from finer1.teacher.filters import REASONS, barred_options, failures, judge

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
    ("phrase", "expected"),
    [
        ("As the description says, the tail is long.", "leak"),
        ("Enclosed Tags: brown, long.", "residue"),
        ("No image is attached.", "refusal"),
        ("Der Vogel ist braun und hat einen langen Schwanz.", "language"),
    ],
)
def test_what_the_text_says_is_looked_at(settings, phrase, expected):
    assert reason(written(analysis=f"{GOOD['analysis']} {phrase}"), settings) == expected


def test_names_are_no_part_of_the_wording(settings):
    known = frozenset({"Bewick Wren", "Die Grosse und Kleine Prompt Meise \u9e2a"})
    other = max(known, key=len)
    text = written(
        options=f"Bewick Wren, {other}", comparison=f"Bewick Wren has it; {other} has not."
    )
    assert failures(text, "Bewick Wren", known, settings) == ()


def test_length_is_bounded_on_both_sides(settings):
    # 16 + 4 + 9 + 2 words = 31; with 980 more, above 1000
    assert reason(written(), settings.model_copy(update={"min_words": 32})) == "length"
    assert reason(written(), settings.model_copy(update={"min_words": 31})) is None
    long = written(analysis=f"{GOOD['analysis']}{' brown' * 980}")
    assert reason(long, settings) == "length"


def test_all_reasons_are_listed_in_the_order_of_the_checks(settings):
    text = written(
        analysis="The description mentions \u68d5\u8272\u7684\u957f\u5c3e\u5df4 all over it.",
        options="House Wren, Winter Wren",
        prediction="House Wren",
    )
    found = failures(text, "Bewick Wren", KNOWN, settings)
    assert found == (
        "label_not_an_option",
        "prediction",
        "option_unknown",
        "comparison",
        "leak",
        "language",
    )
    assert reason(text, settings) == found[0]
    assert tuple(name for name in REASONS if name in found) == found


def test_without_sections_there_is_nothing_else_to_check(settings):
    assert failures("As an AI I cannot see.", "Bewick Wren", KNOWN, settings) == ("format",)


def test_every_reason_has_a_name_of_its_own():
    assert REASONS[0] == "format"
    assert len(set(REASONS)) == 12
    assert REASONS[-1] == "language"  # what falls by it alone is queued


@pytest.mark.parametrize(
    ("option", "is_good"),
    [("Winter Wren", True), ("Bird", False), ("beagle", False), ("House Wren", True)],
)
def test_any_option_may_be_new_but_of_no_other_category(settings, option, is_good):
    loose = settings.model_copy(update={"options": "any"})
    barred = barred_options("bird", {"bird": sorted(KNOWN), "dog": ["Beagle"]})
    text = written(
        options=f"Bewick Wren, {option}", comparison=f"Bewick Wren has it; {option} has not."
    )
    found = failures(text, "Bewick Wren", KNOWN, loose, barred)
    assert found == (() if is_good else ("option_unknown",))


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("\u9e2a\u9e1f", ("language",)),
        ("Wren \u043a", ("language",)),
        ("Wren as the description says", ("leak",)),
        ("Troglodyte mignon", ()),
    ],
)
def test_what_hides_in_a_new_option_is_looked_at(settings, option, expected):
    loose = settings.model_copy(update={"options": "any"})
    text = written(
        options=f"Bewick Wren, {option}", comparison=f"Bewick Wren has it; {option} has not."
    )
    assert failures(text, "Bewick Wren", KNOWN, loose) == expected


def test_many_new_names_are_no_foreign_language(settings):
    loose = settings.model_copy(update={"options": "any"})
    names = ["Aquilegia caerulea", "Aquilegia hybrida", "Aquilegia chrysantha"]
    text = written(
        options=", ".join(["Bewick Wren", *names]),
        comparison=f"Bewick Wren {' '.join(names * 4)}",
    )
    assert failures(text, "Bewick Wren", KNOWN, loose) == ()


def test_name_that_two_categories_share_is_not_barred():
    labels = {"cat": ["Bombay", "Ocicat"], "dog": ["Beagle", "Bombay"]}
    assert barred_options("cat", labels) == {"cat", "dog", "Beagle"}


@pytest.mark.parametrize("blank", ["  ", "\n", "\n\n    ", "\t"])
def test_white_space_does_not_matter(settings, blank):
    bodies = {name: f"{blank}{body}{blank}" for name, body in GOOD.items()}
    for name in ("analysis", "comparison"):
        bodies[name] = bodies[name].replace(" ", blank)
    text = f"{blank}{written(**bodies)}{blank}".replace("><", f">{blank}<")
    assert failures(text, "Bewick Wren", KNOWN, settings) == ()


def test_released_rationales_fall_as_counted(settings, repository):
    """The third at hand: docs/rationales.md has the counts of all 404."""
    path = repository.parent / "shared" / "reference" / "stage1_cot_sample.json"
    if not path.is_file():
        pytest.skip(f"no released rationales at {path}")
    loose = settings.model_copy(update={"options": "any"})
    found = []
    for item in load_released_rationales(path):
        prose = item.prose
        text = sections_text(prose.analysis, prose.options, prose.comparison, prose.prediction)
        known = frozenset(released_classes(item.key[0]))
        found += failures(text, item.answer, known, loose)
    # 135 rationales. Their predictions are mostly sentences, their options often name the class
    # otherwise ("Cairn Terrier" for Cairn): a closed form was not asked of that teacher.
    assert Counter(found) == {
        "prediction": 120,
        "leak": 75,
        "label_not_an_option": 66,
        "comparison": 19,
        "residue": 4,
        "refusal": 2,  # "not of an airplane but rather ... audio equipment"
        "option_count": 1,  # no options found in the prose
        "option_repeated": 1,
    }
