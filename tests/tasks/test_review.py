"""From the teacher's rationales over a person's clicks to what SFT is given."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import yaml

from finer1.images import write_archive
from finer1.records import Decision, Queued, Rationale, read_jsonl, write_jsonl
from finer1.teacher.decisions import rationale_hash
from finer1.world.drawing import draw, png_bytes
from finer1.world.language import comparison_text
from finer1.world.taxonomies import load_taxonomy
from tasks.concepts import concepts
from tasks.cot import cot
from tasks.download import download
from tasks.review import review
from tasks.sft import train
from tasks.split import split
from tests.finer1.review.chromium import PATIENCE_S, chromium_tab

HAN = " \u7ea2\u8272\u7684\u5934\u51a0"
TEXT = "document.querySelector('#analysis textarea').value"


@pytest.fixture
def teach(make_context, own_images):
    """Run the stages up to `cot`, two images per class, the last rationale put in the queue.

    Returns the changes of the parameters, and the rationales that passed with the waiting one.
    """
    changes = own_images[1] | {"review.mode": "apply", "split.sft_shots": 2}
    for body in (download, split, concepts, cot):
        context = make_context(body.__name__, changes)
        body(context)
    paths = context.params.paths
    *passed, last = read_jsonl(paths.rationales, Rationale)
    waiting = replace(last, analysis=last.analysis + HAN)
    write_jsonl(paths.rationales, passed)
    write_jsonl(paths.queue, [Queued(waiting, ("language",))])
    return changes, passed, waiting


@pytest.fixture
def run_review(make_context, teach):
    """Run the stage `review`; returns its metrics and the rows."""

    def run(**more):
        named = {key.replace("__", "."): value for key, value in more.items()}
        context = make_context("review", teach[0] | named)
        paths = context.params.paths
        if not paths.decisions.exists():
            paths.decisions.touch()
        return review(context), read_jsonl(paths.reviewed, Rationale)

    return run


@pytest.fixture
def given_to_sft(make_context, teach, monkeypatch):
    """Completions that the stage `sft` hands to the training, which itself does not run."""

    def run():
        given = []
        monkeypatch.setattr(
            "finer1.sft.train_sft", lambda examples, **_: given.extend(examples) or {}
        )
        train(make_context("sft", teach[0]))
        return [example.completion for example in given]

    return run


def decide(row, verdict, **more):
    return Decision(row.id, rationale_hash(row), verdict, "me", "2026-01-01T00:00:00Z", **more)


def test_queue_does_not_pass_by_itself(run_review, teach):
    metrics, rows = run_review()
    assert rows == teach[1]
    assert (metrics["review/queued"], metrics["review/queued_undecided"]) == (1, 1)
    assert "review/acceptance" not in metrics


def test_queue_is_not_read_while_the_review_is_off(run_review, teach):
    metrics, rows = run_review(review__mode="pass")
    assert rows == teach[1]
    assert metrics["review/queued"] == 0


def test_acceptance_is_of_what_passed_the_filters(run_review, teach, make_context):
    _, passed, waiting = teach
    decisions = [decide(passed[0], "accept"), decide(passed[1], "reject", reasons=("leak",))]
    path = make_context("review", teach[0]).params.paths.decisions
    write_jsonl(path, [*decisions, decide(waiting, "accept")])
    metrics, rows = run_review()
    assert rows == [passed[0], *passed[2:], waiting]
    # Wilson of 1 in 2 at 95 %: 0.5 +- 1.95996 * sqrt(0.125 + 0.24009) / 2.92073
    assert metrics["review/acceptance"] == 0.5
    assert metrics["review/acceptance_low"] == pytest.approx(0.0945, abs=1e-4)
    assert metrics["review/acceptance_high"] == pytest.approx(0.9055, abs=1e-4)
    assert metrics["review/queued_accepted"] == metrics["review/reason_leak"] == 1


def test_decision_that_a_kill_cut_short_names_the_remedy(run_review, teach, make_context):
    path = make_context("review", teach[0]).params.paths.decisions
    path.write_text('{"id": "cot/a", "sha', encoding="utf-8")
    with pytest.raises(ValueError, match=r"decisions.jsonl:1: .*`finer1 review` cuts off"):
        run_review()


@pytest.fixture
def page(make_context, teach, tmp_path, repository):
    """A browser's tab on the page that `finer1 review` serves in tmp_path."""
    params = make_context("review", teach[0]).params
    values = yaml.safe_dump(params.model_dump(mode="json"))
    (tmp_path / "params.yaml").write_text(values, encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(repository)!r}); from flows.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "review", "--no-browser", "--reviewer", "me"]
    with (
        chromium_tab(tmp_path / "profile") as tab,
        (tmp_path / "review.log").open("w+") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as server,
    ):
        try:
            tab.open(_address(tmp_path / "review.log", server))
            tab.wait("document.querySelector('#head')?.innerText.includes('judged')")
            yield tab
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=PATIENCE_S) == 0
        finally:
            server.kill()


def _address(log, server):
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        lines = [line for line in log.read_text().splitlines() if line.startswith("page ")]
        if lines:
            return lines[0].split()[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.slow
def test_what_is_clicked_and_typed_changes_what_sft_trains_on(
    page, teach, run_review, given_to_sft, tmp_path
):
    _, passed, waiting = teach
    before, _ = run_review()
    assert len(given_to_sft()) == len(passed) == 3
    judged = []
    # Classes by yield, the queued one first in its own: reject one by click, accept one by key,
    # correct the queued one, leave the last one open.
    for _ in range(len(passed)):
        shown = page.run(TEXT)
        row = next(row for row in (*passed, waiting) if row.analysis == shown and row not in judged)
        judged.append(row)
        if row is waiting:
            page.press("e")
            page.run("document.activeElement.select()")
            page.write("a corrected text")
            page.press("Enter", modifiers=2)
        elif not any(other is not waiting for other in judged[:-1]):
            page.click("#reasons input")
            page.click("#reject")
        else:
            page.press("a")
        page.wait(f"document.querySelector('#head').innerText.includes('{len(judged)} of 4')")
    assert waiting in judged
    rejected, accepted = (row for row in judged if row is not waiting)
    metrics, rows = run_review()
    edited = replace(waiting, analysis="a corrected text")
    assert [row.id for row in rows] == [row.id for row in passed if row != rejected] + [waiting.id]
    assert accepted in rows
    assert rows[-1] == edited
    given = given_to_sft()
    assert len(given) == 3
    assert sum("a corrected text" in text for text in given) == 1
    assert not any(HAN in text for text in given)
    assert (metrics["review/rejected"], metrics["review/queued_edited"]) == (1, 1)
    assert metrics["review/reason_not_in_image"] == 1
    assert before["review/rejected"] == 0
    log = (tmp_path / "review.log").read_text()
    assert "4 rationales, 1 of them from the queue; 0 judged" in log


@pytest.fixture
def drawn(make_context):
    """Review two rationales about one drawn image, whose wing the first one misreads."""
    label = "elm wren"  # blue hooked unbarred forked striped
    texts = {
        "category": "bird",
        "label": label,
        "attributes": "blue hooked unbarred forked striped",
    }
    options = [load_taxonomy("embedded").find(name) for name in (label, "marsh wren")]
    rationale = Rationale(
        id="cot/world/a.png",
        image_id="world/a.png",
        category="bird",
        label=label,
        question="What is it?",
        analysis="blue hooked single forked striped",
        options=tuple(item.name for item in options),
        comparison=comparison_text(options),
        prediction=label,
        attempts=1,
        engine="oracle",
    )

    def run(decisions=(), is_queued=False, **changes):
        context = make_context("review", {"review.mode": "apply"} | changes)
        paths = context.params.paths
        content = png_bytes(draw("bird", texts["attributes"].split(), 0, 0.0), texts)
        write_archive(paths.images / "world.zip", [("a.png", content)])
        write_jsonl(paths.rationales, [] if is_queued else [rationale])
        write_jsonl(paths.queue, [Queued(rationale, ("yield",))] if is_queued else [])
        write_jsonl(paths.decisions, decisions)
        return review(context), read_jsonl(paths.reviewed, Rationale)

    return rationale, run


def test_the_worlds_reviewer_judges_what_nobody_has(drawn):
    rationale, run = drawn
    metrics, rows = run(**{"review.stand_in": "world"})
    assert rows == [replace(rationale, analysis="blue hooked unbarred forked striped")]
    assert (metrics["review/edited"], metrics["review/stand_in"]) == (1, 1)
    assert run(**{"review.stand_in": "world"}) == (metrics, rows)


def test_a_persons_decision_stands_before_the_worlds_reviewer(drawn):
    rationale, run = drawn
    metrics, rows = run([decide(rationale, "accept")], **{"review.stand_in": "world"})
    assert rows == [rationale]
    assert metrics["review/stand_in"] == 0


def test_what_the_worlds_reviewer_decides_about_the_queue_is_counted_apart(drawn):
    metrics, _ = drawn[1](is_queued=True, **{"review.stand_in": "world"})
    assert (metrics["review/stand_in"], metrics["review/queued_stand_in"]) == (0, 1)


@pytest.mark.parametrize(
    "changes",
    [{"review.stand_in": "none"}, {"review.stand_in": "world", "review.mode": "pass"}],
)
def test_without_a_stand_in_all_is_left_as_it_is(drawn, changes):
    rationale, run = drawn
    assert run(**changes)[1] == [rationale]


def test_the_worlds_reviewer_judges_no_photographs(run_review, teach):
    metrics, rows = run_review(review__stand_in="world")
    assert (metrics["review/stand_in"], rows) == (0, teach[1])
