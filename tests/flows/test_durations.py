import pytest

from flows.durations import about


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "about 10 s"), (80, "about 80 s"), (840, "about 14 min"), (9000, "about 2.5 h")],
)
def test_a_duration_is_no_more_precise_than_it_can_be(seconds, text):
    assert about(seconds) == text
