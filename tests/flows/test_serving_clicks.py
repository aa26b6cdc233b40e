"""Start, cancel, retry and resume by clicking in the Prefect UI, in headless Chromium."""

import base64
import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from flows.values import set_values
from tests.finer1.review.chromium import MOUSE, chromium_tab
from tests.flows.served import RUN_S, is_working, serve, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory, repository, make_project):
    folder = tmp_path_factory.mktemp("clicked")
    make_project(folder)
    for name in ("prefect.yaml", "pyproject.toml"):
        (folder / name).write_bytes((repository / name).read_bytes())
    yield from serve(folder, repository)


@pytest.fixture
def page(service, tmp_path):
    """The Prefect UI; fails if a page raises an error or asks for anything elsewhere.

    FINER1_PICTURES names a folder for its screenshots.
    """
    with chromium_tab(tmp_path / "profile", MOUSE) as tab:
        tab.resize(1300, 1150)
        yield Page(tab, service, Path(os.environ.get("FINER1_PICTURES", tmp_path)))
        assert tab.errors == []
        own = (service.address, f"blob:{service.address}", "data:")
        assert [url for url in tab.requests if not url.startswith(own)] == []


class Page:
    """What a person does with a page: looks for words, clicks, types."""

    def __init__(self, tab, service, pictures):
        self._tab, self._service, self._pictures = tab, service, pictures

    def open(self, path):
        self._tab.open(f"{self._service.address}{path}")

    def click(self, selector, words=None):
        """Click the last visible element with a selector, with just these words where given."""
        found = (
            f"[...document.querySelectorAll({json.dumps(selector)})].filter(e => e.offsetParent"
            f" && !e.disabled && {json.dumps(words)} in {{null: 1, [e.innerText.trim()]: 1}})"
        )
        self._tab.wait(f"{found}.length", RUN_S)
        # A dialog that opens moves for a moment, and a click where it was hits nothing.
        place = f"JSON.stringify({found}.at(-1)?.getBoundingClientRect())"
        self._tab.wait(f"window.before === (window.before = {place})")
        mark = "document.querySelectorAll('[data-target]').forEach(e => delete e.dataset.target)"
        self._tab.run(f"{mark}; {found}.at(-1).dataset.target = 1")
        self._tab.click("[data-target]")

    def choose(self, label, name, is_one=False):
        """Choose a name in the list of a form's parameter; is_one: it closes by itself."""
        field = "[...document.querySelectorAll('.schema-form-property')].filter("
        field += f"e => e.innerText.startsWith({json.dumps(label)})).at(-1)"
        button = f"{field}?.querySelector('.p-select-button__control')"
        self._tab.wait(button + " != null", RUN_S)
        self._tab.run(f"{button}.focus()")
        self._tab.press("ArrowDown")
        self.click(".p-select-option", name)
        if not is_one:
            self._tab.run("document.activeElement.blur()")
            self.click("*", "Parameters")

    def see(self, words):
        """Wait until the page has these words."""
        text = "(document.body?.innerText ?? '')"  # none while a page is left for another
        self._tab.wait(f"{text}.includes({json.dumps(words)})", RUN_S)

    def do(self, path, act, until):
        """Open a page and act there until something is so.

        Anew when the server failed: its SQLite is busy now and then, and the page, which says that
        something went wrong, takes no second click.
        """
        while not until():
            self._tab.failures.clear()
            self.open(path)
            act()
            wait_for(lambda: self._tab.run("1") and (until() or self._has_failed()), RUN_S)

    def open_dialog(self, name):
        """Click a button until its dialog is there: a page that still loads moves its buttons."""
        is_open = "document.querySelector('.p-modal__footer button') != null"
        while not self._tab.run(is_open):
            self.click("button", name)
            with suppress(AssertionError):
                self._tab.wait(is_open, 10)
        self.picture(name.lower())

    def confirm(self, name):
        """Click a button, and the first one below the dialog that it opens."""
        self.open_dialog(name)
        self.click(".p-modal__footer button:first-child")

    def _has_failed(self):
        ends = ("create_flow_run", "set_state", "resume")
        return any(url.endswith(ends) for url in self._tab.failures)

    def picture(self, name):
        # Of the window alone: one of all of the page has it laid out anew, and closes dialogs.
        data = self._tab.send("Page.captureScreenshot", format="png")["data"]
        (self._pictures / f"{name}.png").write_bytes(base64.b64decode(data))


def start(page, service, deployment, label, name):
    """Start a run by its form; returns its id."""
    known = service.runs()

    def fill():
        page.choose(label, name)
        page.picture(f"form-{deployment}")
        page.click("button", "Submit")

    path = f"/deployments/deployment/{service.deployment(deployment)}/run"
    page.do(path, fill, until=lambda: service.runs() - known)
    (run,) = service.runs() - known
    return run


def test_a_run_is_started_cancelled_and_retried_by_clicking(service, page):
    set_values(service.folder / "params.yaml", {"sft.lr": time.time() % 1})  # is to run again
    (service.folder / "wait").touch()
    run = start(page, service, "stage", "stages", "second")
    writer = service.wait_for_child("stage.py", "second")
    path = f"/runs/flow-run/{run}"
    page.open(path)
    page.see("this is second")
    page.picture("running")
    is_ending = lambda: service.state(run) in ("CANCELLING", "CANCELLED")  # noqa: E731
    page.do(path, lambda: page.confirm("Cancel"), until=is_ending)
    assert service.ended(run) == "CANCELLED"
    assert not is_working(writer)
    page.open(path)
    page.see("Cancelled")
    page.picture("cancelled")
    (service.folder / "wait").unlink()
    page.do(path, lambda: page.confirm("Retry"), until=lambda: not service.is_at_rest(run))
    assert service.ended(run, 2) == "COMPLETED"
    page.open(path)
    page.see("Completed")
    page.picture("completed")
    assert (service.folder / "data/second.txt").exists()


def test_a_crashed_run_is_retried_by_clicking(service, page):
    (service.folder / "wait").touch()
    run = service.start("pipeline", assignments=[f"sft.lr={time.time() % 1}"])
    service.wait_for_child("stage.py", "second")
    service.child("prefect.engine").kill()
    assert service.ended(run) == "CRASHED"
    (service.folder / "wait").unlink()
    path = f"/runs/flow-run/{run}"
    page.open(path)
    page.see("Crashed")
    page.picture("crashed")
    page.do(path, lambda: page.confirm("Retry"), until=lambda: not service.is_at_rest(run))
    assert service.ended(run, 2) == "COMPLETED"


@pytest.mark.parametrize(("decision", "end"), [("go on", "COMPLETED"), ("stop", "FAILED")])
def test_a_paused_run_is_resumed_by_clicking(service, page, decision, end):
    run = start(page, service, "pipeline", "pause_after", "first")
    service.wait_until_suspended(run)

    def answer():
        page.open_dialog("Resume")
        page.see("Look at what it made")
        if decision == "stop":
            page.choose("decision", "stop", is_one=True)
        page.picture(f"resume-{end.lower()}")
        page.click(".p-modal button", "Submit")

    path = f"/runs/flow-run/{run}"
    page.do(path, answer, until=lambda: service.state(run) != "PAUSED")
    assert service.ended(run) == end


def test_artifacts_are_on_the_page_of_the_run(service, page):
    run = service.start("pipeline", assignments=[f"sft.lr={time.time() % 1}"])
    assert service.ended(run) == "COMPLETED"
    page.open(f"/runs/flow-run/{run}?tab=Artifacts")
    page.see("stage-second")
    page.see("progress-second")
    page.picture("artifacts")
    page.open("/artifacts/key/result")
    page.see("outcome")
    page.see("second")
    page.picture("summary")
