"""The report and the page of experiments in a real browser, with names that try to run."""

import json
import shutil
from dataclasses import replace

import pytest

from finer1.report.experiment_table import ExperimentTable
from finer1.report.experiments_page import render_experiments
from finer1.report.inputs import read_inputs
from finer1.report.measured import Measured
from finer1.report.page import render_page
from tests.finer1.review.chromium import chromium_tab
from tests.payloads import PAYLOADS

pytestmark = pytest.mark.slow


@pytest.fixture
def tab(tmp_path):
    with chromium_tab(tmp_path / "profile") as tab:
        yield tab


@pytest.fixture
def with_name(params, cells, tmp_path):
    """The fabricated run with another text where it has its hostile one: label, question, answer,
    concept, finding, metric."""
    home = params.paths.splits.parents[1]

    def make(text):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        folder = shutil.copytree(home, tmp_path / "run")
        for path in folder.rglob("*.json*"):
            written = path.read_text(encoding="utf-8")
            new = written.replace(cells.hostile, json.dumps(text, ensure_ascii=False)[1:-1])
            new = new.replace("What ", json.dumps(f"{text} What ", ensure_ascii=False)[1:-1])
            path.write_text(new, encoding="utf-8")
        paths = {
            name: folder / path.relative_to(home)
            for name, path in params.paths
            if path.is_relative_to(home)
        }
        return params.model_copy(update={"paths": params.paths.model_copy(update=paths)})

    return make


def open_page(tab, path, page):
    path.write_text(page, encoding="utf-8")
    tab.requests.clear()
    tab.open(path.as_uri())
    tab.wait("document.readyState === 'complete' && document.querySelector('h1') !== null")


def assert_inert(tab, path):
    assert tab.run("window.hacked === undefined")
    assert tab.run("document.querySelectorAll('script, iframe, object, embed, form').length") == 0
    assert [url for url in tab.requests if not url.startswith(("data:", path.as_uri()))] == []


def test_no_name_runs_in_the_report_or_asks_another_machine(tab, with_name, tmp_path):
    path = tmp_path / "report.html"
    for payload in PAYLOADS:
        page = render_page(read_inputs(with_name(payload)))
        open_page(tab, path, page)
        assert_inert(tab, path)
        shown = tab.run("document.body.innerText").split()
        assert "".join(payload.split()) in "".join(shown), payload


def test_no_name_runs_in_the_page_of_experiments(tab, tmp_path):
    path = tmp_path / "experiments.html"
    figures = tuple(Measured(0, text, "separability", 1.0, None, None, False) for text in PAYLOADS)
    table = ExperimentTable("t", "T", "", None, (), PAYLOADS, (), (), {}, {}, PAYLOADS, figures)
    hostile = [replace(table, name=text, about=text, paper=text) for text in PAYLOADS]
    open_page(tab, path, render_experiments([table, *hostile], 0.95))
    assert_inert(tab, path)
    assert "window.hacked=1" in tab.run("document.body.innerText")


def test_what_escaped_would_be_stopped_by_the_policy(tab, tmp_path):
    # Proof that the browser, too, refuses: a page whose text was not escaped.
    path = tmp_path / "experiments.html"
    page = render_experiments([], 0.95).replace("<main>", "<main>" + "".join(PAYLOADS[:16]))
    open_page(tab, path, page)
    assert tab.run("window.hacked === undefined")


def test_payloads_run_in_a_page_without_care(tab, tmp_path):
    path = tmp_path / "careless.html"
    open_page(tab, path, f"<h1>x</h1>{PAYLOADS[8]}")
    assert tab.wait("window.hacked === 1")
