import pytest

from finer1.recognition.reading import Recognition
from finer1.tryout.view import MOST_ROWS, Told, View, fault, votes_line
from tests.payloads import PAYLOADS

SECTIONS = {
    "analysis": "a red crown",
    "options": "elm wren, oak wren",
    "comparison": "the oak wren has a blue one",
    "prediction": "elm wren",
}
RAW = "".join(f"<{name}>{body}</{name}>" for name, body in SECTIONS.items())
RAW = f"<think>{RAW}</think><answer>elm wren</answer>"


@pytest.fixture
def view():
    return View(lambda category, name: [f"data:{category}/{name}"] * 2)


def recognition(**changes):
    whole = {
        "answer": "elm wren",
        "candidates": ("elm wren", "oak wren"),
        "sections": SECTIONS,
        "votes": {"elm wren": 0.8, "oak wren": 0.2},
        "raw": RAW,
    }
    return Recognition(**{**whole, **changes})


def told(found=None, **more):
    raw = found.raw if found else ""
    return Told("trained model", "", **{"raw": raw, "category": "bird", **more}, found=found)


def test_sections_show_as_far_as_they_are_written(view):
    page = view.card(told(raw="<think><analysis>a red crown</analysis><options>elm w"))
    assert page.count("<details open") == 2
    assert "<p>a red crown</p>" in page
    assert "<p>elm w</p>" in page
    assert page.count("section waiting") == 2
    assert "no answer" not in page


def test_the_answer_has_its_votes_and_its_candidates_their_images(view):
    page = view.card(told(recognition(), num_votes=5))
    assert '<p class="name">elm wren</p>' in page
    assert "4 of 5 votes" in page
    assert 'src="data:bird/oak wren"' in page
    assert "width: 20.0%" in page
    assert "probab" not in page.lower()
    assert "confiden" not in page.lower()


def test_a_broken_format_shows_the_raw_text_what_is_missing_and_no_answer(view):
    raw = "<think><analysis>red</analysis><options>elm wren"
    page = view.card(told(recognition(answer=None, sections={}, raw=raw, votes={})))
    assert "no answer" in page
    assert "&lt;analysis&gt;red&lt;/analysis&gt;" in page
    assert "missing: Comparison, Prediction; without an end: Candidate sub-categories" in page
    assert "<details open" not in page


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("elm wren", "missing: Visual analysis, Candidate sub-categories, Comparison, Prediction; "
                     "no whole <think> and no whole <answer>"),
        (RAW.replace("</comparison>", ""), "without an end: Comparison"),
        (RAW.replace("</answer>", ""), "no whole <answer>"),
        (f"{RAW}{RAW}", "the sections are not once each, in order, and nothing around them"),
    ],
)  # fmt: skip
def test_the_fault_of_a_format_is_named(raw, words):
    assert fault(raw) == words


@pytest.mark.parametrize(
    ("votes", "answer", "line"),
    [
        ({"elm wren": 0.8, "oak wren": 0.2}, "elm wren", "4 of 5 votes"),
        ({"elm wren": 0.8, "oak wren": 0.2}, "The oak-wren", "1 of 5 votes; elm wren has 4"),
        ({"elm wren": 0.4}, None, "0 of 5 votes; elm wren has 2"),
        ({}, "elm wren", "0 of 5 votes"),
    ],
)
def test_votes_are_counted_for_the_answer(votes, answer, line):
    assert votes_line(recognition(votes=votes, answer=answer), 5) == line


def test_without_votes_there_is_no_line_of_them():
    assert votes_line(recognition(votes={}), 0) == ""


def test_of_a_long_list_those_with_votes_and_those_weighed_come_first(view):
    names = tuple(f"bird {n}" for n in range(40))
    found = recognition(candidates=names, votes={"bird 30": 0.6, "elm wren": 0.4})
    page = view.card(told(found, num_votes=5))
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0]
    shown = [part.partition("<")[0].strip() for part in rows.split('<th scope="row">')[1:]]
    assert shown[:4] == ["bird 30", "elm wren", "oak wren", "bird 0"]
    assert len(shown) == MOST_ROWS
    # 40 names and the two weighed that are none of them
    assert f"and {42 - MOST_ROWS} more names" in page


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_texts_are_escaped(view, payload):
    found = recognition(
        answer=payload,
        sections=dict.fromkeys(SECTIONS, payload),
        votes={payload: 1.0},
        candidates=(payload,),
        raw=payload,
    )
    card = told(found, num_votes=1, facts=(payload,), body=payload, error=payload)
    page = view.card(card)
    assert payload not in page or not set(payload) & set('<>"')
    assert "<script" not in page
    assert "<svg" not in page
