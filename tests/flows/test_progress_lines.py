import threading

import pytest

from finer1.progress import Progress
from flows.progress_lines import Reporter, Step, parse_progress


@pytest.mark.parametrize(
    ("line", "percent", "words"),
    [
        ("tapo: 3/12 steps, 30 s left, 0.1/s", 25, "tapo: 3/12 steps, 30 s left, 0.1/s"),
        ("tapo: tapo: 12/12 steps, from the store", 100, "tapo: 12/12 steps, from the store"),
        ("predict@sft: predict@sft closed: 5/10 prompts, 2 s left", 50, None),
    ],
)
def test_a_line_of_progress_is_read(line, percent, words):
    step = parse_progress(line)
    assert step.percent == percent
    assert words is None or step.words == words


@pytest.mark.parametrize("line", ["", "split: 42 classes seen", "see data/a/b 1/2", "tapo: 1/2"])
def test_any_other_line_is_none(line):
    assert parse_progress(line) is None


def test_what_progress_prints_is_what_is_read(capsys):
    # The fifth second: 2 of 8 are done, at 0.4/s the other 6 take 15 s.
    clock = iter([0.0, 5.0, 5.0, 5.0, 5.0])
    Progress("sft", 8, "steps", is_live=True, now=lambda: next(clock)).advance(2)
    line = capsys.readouterr().err.strip()
    assert parse_progress(f"sft: {line}") == Step(25.0, "sft: 2/8 steps, 15 s left, 0.4/s", False)


def test_the_log_gets_other_lines_and_now_and_then_progress():
    now = [0.0]
    reporter = Reporter(lambda step: None, now=lambda: now[0])
    assert reporter.take("tapo: something else")
    assert not reporter.take("tapo: 1/9 steps")
    now[0] = 29.0
    assert not reporter.take("tapo: 2/9 steps")
    now[0] = 30.0
    assert reporter.take("tapo: 3/9 steps")
    assert reporter.take("tapo: 9/9 steps")
    reporter.close()


def test_a_server_that_hangs_does_not_hold_up_the_reader():
    release, sent = threading.Event(), []

    def send(step):
        release.wait(60)
        sent.append(step.percent)

    reporter = Reporter(send)
    for done in range(1, 101):
        reporter.take(f"tapo: {done}/100 steps")  # returns although nothing is sent
    release.set()
    reporter.close()
    # Of those that wait the latest is sent.
    assert sent[-1] == 100
    assert len(sent) <= 3
