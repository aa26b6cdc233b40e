import socket

import pytest

from finer1.teacher import language
from finer1.teacher.language import find_foreign, find_odd_letters
from finer1.teacher.wording import NAME

ENGLISH = (
    "The bird is brown above and pale below, with a long barred tail that it holds upright, and "
    "a clear white line runs from the bill over the eye to the back of the head. "
)

FOREIGN = {
    "de": "Der Vogel besitzt braunes Gefieder, einen langen gestreiften Schwanz sowie einen "
    "hellen Streifen \u00fcber dem Auge.",
    "fr": "L'oiseau poss\u00e8de un plumage brun, une longue queue ray\u00e9e et un trait blanc "
    "au-dessus de l'\u0153il.",
    "es": "El ave presenta un plumaje marr\u00f3n, una cola larga con barras y una l\u00ednea "
    "blanca sobre el ojo.",
    "ru": "\u041f\u0442\u0438\u0446\u0430 \u0431\u0443\u0440\u0430\u044f, \u0441 "
    "\u0434\u043b\u0438\u043d\u043d\u044b\u043c "
    "\u0445\u0432\u043e\u0441\u0442\u043e\u043c.",
    "zh": "\u8fd9\u53ea\u9e1f\u662f\u68d5\u8272\u7684\uff0c\u5c3e\u5df4\u5f88\u957f\uff0c"
    "\u773c\u775b\u4e0a\u65b9\u6709\u4e00\u6761\u767d\u7ebf\u3002",
}


@pytest.mark.parametrize("code", FOREIGN)
def test_text_in_another_language_is_foreign(code):
    assert find_foreign(FOREIGN[code])


@pytest.mark.parametrize("code", FOREIGN)
def test_one_foreign_sentence_in_an_english_text_is_found(code):
    assert find_foreign(f"{ENGLISH}{FOREIGN[code]} {ENGLISH}")


@pytest.mark.parametrize(
    "slip",
    [
        "The bird is brown with a long tail \u7279\u5f81\u660e\u663e and a white line.",
        "The bird is brown \u0441 \u0434\u043b\u0438\u043d\u043d\u044b\u043c tail.",
        "The bird is brown und hat eine white line above the eye.",
        "The bird est brown avec a long tail.",
    ],
)
def test_few_foreign_words_are_found(slip):
    assert find_foreign(slip)


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        "The bird\u2019s na\u00efve look \u2013 a \u201clong\u201d tail \u2013 is clear.",
        f"- {NAME} (Setophaga magnolia): grey\n- {NAME} (Setophaga caerulescens): blue\n"
        f"- {NAME} (Lanius excubitor): mask\n- {NAME} (Setophaga palmarum): yellow {ENGLISH}",
        "red long single forked striped",
        f"pale edge, dark edge {NAME} fits. {NAME} differs.",
        "",
    ],
)
def test_english_is_not_foreign_with_latin_names_accents_or_few_words(text):
    assert find_foreign(text) is None


def test_three_han_characters_among_500_words_are_found():
    # 34 words, 15 times
    assert len((ENGLISH * 15).split()) >= 500
    assert find_foreign(f"{ENGLISH * 8}\u68d5\u8272\u7684 {ENGLISH * 7}") == "\u68d5\u8272\u7684"


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (
            "na\u00efve \u0141\u00f3d\u017a Hawai\u02bbi 80 \u00b5m, 5 \u03bcm, \u03b1-carotene",
            None,
        ),
        ("a \u03ba\u03b1\u03b9 b", "\u03ba\u03b1\u03b9"),
        ("\u0441at", "\u0441"),  # a Cyrillic letter that looks Latin
    ],
)
def test_letters_are_latin_or_a_greek_one_by_itself(text, odd):
    assert find_odd_letters(text) == odd


def test_model_is_read_without_the_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    language._identifier.cache_clear()
    assert find_foreign(FOREIGN["es"])
