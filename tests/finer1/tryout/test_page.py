"""The page in a real browser: from an image to its correction, on a desk and on a phone."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from finer1.own.corrections import Correction
from finer1.records import read_jsonl
from finer1.tryout.client import Client
from finer1.tryout.page import serve
from finer1.tryout.setting import Project
from tests.finer1.review.chromium import MOUSE, chromium_tab
from tests.finer1.tryout.conftest import Written, completion, drawing

pytestmark = pytest.mark.slow

PATIENCE_S = 600
READY = "document.querySelector('#image input[type=file]') != null"
ENDED = "document.querySelector('#card .copy') != null"


@pytest.fixture
def tab(tmp_path):
    with chromium_tab(tmp_path / "profile", MOUSE) as tab:
        yield tab
        assert tab.errors == []


class Page:
    """What a person does with the page."""

    def __init__(self, tab, address, project):
        self.tab, self.address, self.project = tab, address, project

    def upload(self, content):
        """Choose an image; returns when the page shows it."""
        self.choose(content)
        self.tab.wait("document.querySelector('#image img')?.naturalWidth > 0", PATIENCE_S)

    def choose(self, content):
        """Choose a file; returns when the page has taken it."""
        path = self.project.home / "chosen.png"
        path.write_bytes(content)
        field = "document.querySelector('#image input[type=file]')"
        found = self.tab.send("Runtime.evaluate", expression=field)["result"]["objectId"]
        self.tab.send("DOM.setFileInputFiles", objectId=found, files=[str(path)])
        self.tab.wait("document.querySelector('#image img') != null", PATIENCE_S)

    def recognize(self):
        """Press Enter until the page answers: a press while it is busy with the image is lost."""
        told = "document.querySelector('#card .card, .notice.error') != null"
        for _ in range(PATIENCE_S):
            self.tab.press("Enter")
            with suppress(AssertionError):
                self.tab.wait(told, 1)
                return
        raise AssertionError("never recognized")

    def pick(self, name):
        """Choose a name in the list of those that may be right."""
        self.tab.press("w")
        self.tab.wait("document.activeElement?.closest('#right') != null", PATIENCE_S)
        options, named = "[...document.querySelectorAll('[role=option]')]", json.dumps(name)
        option = f"{options}.find(e => e.innerText.includes({named}))"
        self.tab.wait(f"{option} != null", PATIENCE_S)
        self.tab.run(f"{option}.dispatchEvent(new MouseEvent('mousedown', {{bubbles: true}}))")
        self.tab.wait(f"document.querySelector('#right input').value === {json.dumps(name)}")

    def rows(self):
        path = self.project.home / "data/corrections/corrections.jsonl"
        return read_jsonl(path, Correction) if path.exists() else []

    def picture(self, name):
        """A screenshot, kept where FINER1_PICTURES says."""
        self.tab.picture(Path(os.environ.get("FINER1_PICTURES", self.project.home)) / name)


@pytest.fixture
def open_page(tab, project, endpoint, monkeypatch, tmp_path):
    """Serve the page in front of engines, and open it in the tab."""
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    served = []

    def open_page(engine=None, base=None, width=1360):
        around = Project(project.home, project.params)
        asking = Client(endpoint(engine or Written()), None)
        model = around.model("trained model", lambda: asking)
        other = Client(endpoint(base), None) if base else None
        beside = around.model("base model", lambda: other) if base else None
        setting = around.setting(model, beside, tmp_path / "scratch")
        blocks, address = serve(setting, around.desk("me"), around.view(), None, False)
        served.append(blocks)
        tab.resize(width, 900)
        tab.open(address)
        tab.wait(READY, PATIENCE_S)
        return Page(tab, address, project)

    yield open_page
    for blocks in served:
        blocks.close(verbose=False)


def test_from_an_image_to_its_correction(open_page, tab, project):
    page = open_page(Written(step_s=0.3))
    page.upload(drawing(100))
    page.recognize()
    begun = "document.querySelectorAll('#card details.section').length"
    assert tab.wait(f"{begun} > 0 && {begun}", PATIENCE_S) < 4  # they come one after the other
    tab.wait(ENDED, PATIENCE_S)
    assert tab.run(begun) == 4
    assert tab.text("#card .name") == "oak wren"
    assert tab.text("#card .votes") == "3 of 4 votes"  # predict.votes.samples is 4
    assert tab.run("document.querySelectorAll('#card .references img').length") == 9  # 3 names
    assert page.rows() == []
    done = "document.querySelector('.notice.done')?.innerText ?? ''"
    page.pick("elm wren")
    tab.click("#keep")
    tab.wait(f"({done}).includes('Kept as elm wren')", PATIENCE_S)
    (row,) = page.rows()
    assert row.class_key == ("birds", "bird", "elm wren")
    assert (row.answer, row.model) == ("oak wren", "table:float32:abc")
    kept = project.home / "data/corrections/images" / row.file
    assert kept.read_bytes() == drawing(100)
    page.picture("corrected.png")
    tab.click("#back")
    tab.wait(f"({done}).includes('Taken back')", PATIENCE_S)
    assert [item.label for item in page.rows()] == ["elm wren", None]
    hosts = {url.split("/")[2] for url in tab.requests if not url.startswith(("data:", "blob:"))}
    assert {host.split(":")[0] for host in hosts} == {"127.0.0.1"}


@pytest.mark.parametrize("width", [1360, 390])
def test_two_models_stand_side_by_side_and_nothing_sticks_out(open_page, tab, width):
    page = open_page(base=Written(text="a bird", identity="table:float32:base"), width=width)
    assert tab.run("document.documentElement.scrollWidth") <= width
    page.upload(drawing(100))
    tab.run("document.querySelector('#beside input').click()")  # nothing moves it away meanwhile
    page.recognize()
    tab.wait("document.querySelector('#base .copy') != null", PATIENCE_S)
    assert tab.text("#base .name") == "no answer"
    assert "missing: Visual analysis" in tab.text("#base")
    assert tab.text("#base pre.raw") == "a bird"
    assert tab.run("document.documentElement.scrollWidth") <= width
    left, right = (
        tab.run(f"document.querySelector('{place}').getBoundingClientRect().x")
        for place in ("#card", "#base")
    )
    assert (left < right) == (width > 640)
    page.picture(f"beside-{width}.png")


def test_a_list_is_asked_from_and_hostile_text_is_only_shown(open_page, tab):
    hostile = "<img src=x onerror='window.hacked=1'>"
    engine = Written(text=completion(hostile), votes=(hostile,) * 5)
    page = open_page(engine)
    page.upload(drawing(100))
    tab.run("document.querySelectorAll('#mode input')[1].click()")
    tab.wait("document.querySelector('#names textarea')?.value.includes('elm wren')", PATIENCE_S)
    page.recognize()
    tab.wait(ENDED, PATIENCE_S)
    assert tab.run("window.hacked === undefined")
    assert "Options: ash wren; elm wren; oak wren." in engine.seen[-1][0].user


def test_a_file_that_is_no_image_is_told_in_our_words(open_page, tab):
    page = open_page()
    page.choose(b"text")
    page.recognize()
    tab.wait("document.querySelector('#told').innerText.includes('not a readable image')")


def test_without_an_image_the_page_says_what_is_missing(open_page, tab):
    open_page()
    tab.wait("document.querySelector('#recognize') != null")
    tab.press("Enter")
    tab.wait("document.querySelector('.notice.error')?.innerText.includes('an image')", PATIENCE_S)


def test_a_new_image_clears_what_was_said_of_the_last(open_page, tab):
    page = open_page()
    page.upload(drawing(100))
    page.recognize()
    tab.wait(ENDED, PATIENCE_S)
    tab.run("document.querySelector('#examples button').click()")
    tab.wait("document.querySelector('#card .card') == null", PATIENCE_S)
    assert tab.run("document.querySelector('#wrong')?.offsetParent == null")


def test_the_pick_of_one_image_is_not_that_of_the_next(open_page, tab):
    page = open_page()
    page.upload(drawing(100))
    page.recognize()
    tab.wait(ENDED, PATIENCE_S)
    page.pick("elm wren")
    tab.run("document.querySelector('#examples button').click()")
    tab.wait("document.querySelector('#card .card') == null", PATIENCE_S)
    page.recognize()
    tab.wait(ENDED, PATIENCE_S)
    tab.wait("document.querySelector('#right input')?.value === ''", PATIENCE_S)
    tab.click("#keep")
    tab.wait("document.querySelector('.notice.error')?.innerText.includes('pick the right')")
    assert page.rows() == []
