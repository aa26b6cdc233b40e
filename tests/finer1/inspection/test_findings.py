import pytest

from finer1.inspection.findings import Finding, judged, shown, shown_lines, some, stops_a_run
from finer1.params import load_params


@pytest.mark.parametrize(
    ("level", "kind", "changes", "expected"),
    [
        ("error", "unreadable", {}, True),
        ("error", "unreadable", {"bad_images": "skip"}, False),
        ("error", "unreadable", {"duplicates": "count"}, True),
        ("error", "duplicate", {}, True),
        ("error", "duplicate", {"duplicates": "count"}, False),
        ("warning", "duplicate", {}, False),
        ("error", "class name", {"bad_images": "skip", "duplicates": "count"}, True),
    ],
)
def test_the_settings_say_what_stops_a_run(repository, level, kind, changes, expected):
    settings = load_params(repository / "params.yaml").download.model_copy(update=changes)
    finding = Finding(level, kind, "t:1", "wrong", "mend it")
    assert stops_a_run(finding, settings) == expected
    assert (judged([finding], settings)[0].level == "error") == expected


def test_of_a_very_long_text_the_beginning_is_shown():
    assert len(shown("x" * 10**7)) < 5000
    assert shown("x" * 10**7).endswith("x...")


def test_what_cannot_be_printed_is_escaped():
    assert shown("a\nb\x1b[31m\u2028\ud800") == "a\\nb\\x1b[31m\\u2028\\ud800"
    assert shown_lines("a\nb\x1b[31m") == "a\nb\\x1b[31m"
    assert some(["a\nb", "c", "d", "e"]) == "a\\nb, c, d and 1 more"
