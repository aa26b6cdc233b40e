"""The page in a real browser: that it shows hostile texts, asks nobody else, and fits a phone."""

import time

import httpx
import psutil
import pytest

from finer1.records import Decision, read_jsonl
from finer1.review.page import serve
from tests.finer1.review.chromium import chromium_tab
from tests.finer1.review.conftest import LABELS, rationale
from tests.payloads import PAYLOADS

pytestmark = pytest.mark.slow

SHOWN = "document.querySelector('#head')?.innerText.includes('judged')"


@pytest.fixture
def tab(tmp_path):
    with chromium_tab(tmp_path / "profile") as tab:
        yield tab


@pytest.fixture
def open_page(tab, monkeypatch):
    """Serve a desk and open its page in the tab."""
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    served = []

    def open_page(made):
        blocks, address = serve(made.desk, made.view, None, opens_browser=False)
        served.append(blocks)
        tab.open(address)
        tab.wait(SHOWN)
        return tab

    yield open_page
    for blocks in served:
        blocks.close(verbose=False)


def hostile(payload):
    return rationale(
        "elm wren",
        analysis=payload,
        options=(payload, "elm wren"),
        comparison=f"The question was: {payload}",
        question=payload,
        engine=payload,
    )


def test_hostile_texts_are_shown_and_never_run(make_desk, open_page):
    made = make_desk([hostile(payload) for payload in PAYLOADS])
    tab = open_page(made)
    for place, item in enumerate(made.items, 1):
        tab.wait(f"document.querySelector('.where span').innerText === 'rationale {place}'")
        text = item.rationale.question
        # A browser shows line breaks as blanks.
        assert "".join(text.split()) in "".join(tab.text("#evidence").split())
        tab.wait(f"document.querySelector('#comparison textarea').value.includes({text!r})")
        tab.press("ArrowRight")
    assert tab.run("window.hacked === undefined")
    assert tab.errors == []
    assert not [url for url in tab.requests if "192.0.2.1" in url]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{own}"}, 200),
        ({"Origin": "http://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "rebound.example.org:7860"}, 403),
    ],
)
def test_only_the_page_itself_may_ask(make_desk, monkeypatch, headers, status):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    made = make_desk()
    blocks, address = serve(made.desk, made.view, None, opens_browser=False)
    try:
        own = address.rstrip("/")
        sent = {name: value.format(own=own) for name, value in headers.items()}
        answer = httpx.get(address, headers=sent)
        assert answer.status_code == status
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert httpx.post(f"{own}/gradio_api/queue/join", headers=sent).status_code == (
            403 if status == 403 else 422
        )
        addresses = {item.laddr.ip for item in psutil.Process().net_connections()
                     if item.status == psutil.CONN_LISTEN}  # fmt: skip
        assert addresses == {"127.0.0.1"}
    finally:
        blocks.close(verbose=False)


def test_page_asks_no_other_machine(make_desk, open_page):
    tab = open_page(make_desk())
    hosts = {url.split("/")[2] for url in tab.requests if not url.startswith(("data:", "blob:"))}
    assert {host.split(":")[0] for host in hosts} == {"127.0.0.1"}


@pytest.mark.parametrize("width", [1360, 400])
def test_nothing_sticks_out_and_the_buttons_are_in_reach(make_desk, open_page, tab, width):
    tab.resize(width, 800)
    open_page(make_desk())
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("document.querySelector('#accept').getBoundingClientRect().bottom") <= 800


def test_released_prose_has_one_field(make_desk, open_page):
    text = "<think>It has a red crown.</think><answer>elm wren</answer>"
    tab = open_page(make_desk([rationale("elm wren", completion=text)]))
    tab.wait("document.querySelector('#prose textarea')?.value === 'It has a red crown.'")
    assert tab.run("[...document.querySelectorAll('#texts textarea')].filter("
                   "field => field.offsetParent).length") == 1  # fmt: skip


def test_a_verdict_that_cannot_be_kept_is_told_and_the_text_stays(make_desk, open_page):
    made = make_desk()
    tab = open_page(made)
    tab.press("e")
    tab.run("document.querySelector('#prediction textarea, #prediction input').select()")
    tab.write("a heron")
    tab.click("#accept")
    tab.wait("document.querySelector('.notice.error')?.innerText.includes('must predict elm wren')")
    field = "document.querySelector('#prediction textarea, #prediction input').value"
    assert tab.run(field) == "a heron"
    assert made.desk.standing() == {}


@pytest.mark.parametrize("keys", [("r", "a"), ("ArrowRight", "a")])
def test_key_before_the_answer_falls_on_no_rationale(make_desk, open_page, keys):
    made = make_desk()
    tab = open_page(made)
    for key in keys:
        tab.press(key)
    tab.wait(f"document.querySelector('.label').innerText.includes({LABELS[1]!r})")
    time.sleep(1)  # an answer to the second key would come after the first one's
    first = made.items[0].key
    verdicts = {key: row.verdict for key, row in made.desk.standing().items()}
    assert verdicts == ({first: "reject"} if keys[0] == "r" else {})
    tab.press("a")
    tab.wait(f"document.querySelector('.notice').innerText === 'Accepted: {LABELS[1]}.'")
    assert made.desk.standing()[made.items[1].key].verdict == "accept"


def test_server_refuses_a_verdict_on_what_it_no_longer_shows(make_desk, open_page):
    made = make_desk()
    tab = open_page(made)
    tab.run("for (const id of ['reject', 'accept']) document.querySelector(`button#${id}`).click()")
    tab.wait("document.querySelector('.notice.error')?.innerText.includes('had moved on')")
    assert len(read_jsonl(made.paths.decisions, Decision)) == 1  # whichever came first


def test_undo_key_goes_back_to_what_was_judged(make_desk, open_page):
    made = make_desk()
    tab = open_page(made)
    tab.press("a")
    tab.wait(f"document.querySelector('.label').innerText.includes({LABELS[1]!r})")
    tab.press("u")
    tab.wait(f"document.querySelector('.label').innerText.includes({LABELS[0]!r})")
    assert made.desk.standing() == {}
