"""Lines of progress at times that tests set by hand."""

import io

import pytest

from finer1 import progress
from finer1.progress import Progress, duration


@pytest.fixture
def printed(capsys):
    """The lines on standard error so far."""
    return lambda: capsys.readouterr().err.splitlines()


class Terminal(io.StringIO):
    """A terminal of which nothing is read."""

    def isatty(self):
        return True


def test_a_log_gets_a_line_after_each_fifth(printed):
    bar = Progress("tapo", 40, "steps", now=lambda: 0.0)
    for _ in range(40):
        bar.advance(1)
    assert [line.split()[1] for line in printed()] == ["8/40", "16/40", "24/40", "32/40", "40/40"]


def test_a_log_gets_a_line_when_a_minute_has_passed(printed):
    seconds = 0.0
    bar = Progress("tapo", 1000, "steps", now=lambda: seconds)
    for seconds in (59.0, 60.0, 100.0, 119.0, 120.0):  # noqa: B007 - read by the clock
        bar.advance(1)
    assert [line.split()[1] for line in printed()] == ["2/1000", "5/1000"]


def test_a_live_log_gets_two_lines_a_second_at_most(printed):
    seconds = 0.0
    bar = Progress("tapo", 1000, "steps", is_live=True, now=lambda: seconds)
    for seconds in (0.0, 0.1, 0.5, 0.9, 1.0):  # noqa: B007 - read by the clock
        bar.advance(1)
    assert [line.split()[1] for line in printed()] == ["1/1000", "3/1000", "5/1000"]


def test_a_log_has_the_speed_and_the_length_of_generated_texts(printed):
    seconds = 0.0
    bar = Progress("predict", 4, "prompts", is_live=True, now=lambda: seconds)
    seconds = 10.0
    bar.advance(2, num_texts=4, num_tokens=100)  # two samples each
    assert printed() == [
        "predict: 2/4 prompts, 10 s left, 0.2/s, 10 tokens/s, 25 tokens each",
    ]


def test_the_time_left_is_that_of_the_items_to_come(printed):
    seconds = 0.0
    bar = Progress("tapo", 40, "steps", is_live=True, now=lambda: seconds)
    seconds = 20.0
    bar.advance(10, words="reward 0.50")
    # 10 items in 20 s, 30 to go.
    assert printed() == ["tapo: 10/40 steps, 1 min 00 s left, reward 0.50"]


def test_a_continued_run_reckons_with_its_own_items_alone(printed):
    seconds = 0.0
    bar = Progress("tapo", 40, "steps", done=30, is_live=True, now=lambda: seconds)
    seconds = 10.0
    bar.advance(1)
    # One step of its own in 10 s and 9 to go; with the 30 before it would be 3 s.
    assert printed() == ["tapo: 31/40 steps, 1 min 30 s left, 0.1/s"]


def test_what_a_cache_gives_is_not_work(printed):
    seconds = 0.0
    bar = Progress("predict", 40, "generations", is_live=True, now=lambda: seconds)
    bar.advance(20, is_new=False)
    seconds = 10.0
    bar.advance(10)
    assert printed() == [
        "predict: 20/40 generations, from the store",
        "predict: 30/40 generations, 10 s left, 1.0/s",
    ]


def test_a_terminal_gets_one_line_that_fits_and_is_rewritten(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_columns", lambda: 40)
    bar = Progress("tapo", 2, "steps", now=lambda: 0.0)
    bar.advance(1, words="x" * 100)
    bar.advance(1, words="done")
    first, second = terminal.getvalue().split("\r\x1b[K")[1:]
    assert len(first) == 39  # one less than the columns: a full line would wrap
    assert "\n" not in first
    assert second == "tapo: 2/2 steps, 0 s left, done\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"),
     (3600, "1 h 00 min"), (90_000, "25 h 00 min")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
