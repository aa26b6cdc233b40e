import pytest

from finer1.notices import notice
from tests.finer1.review.conftest import rationale
from tests.payloads import PAYLOADS


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_names_are_escaped(make_desk, payload):
    row = rationale("elm wren", options=(payload, "elm wren"), question=payload, engine=payload)
    made = make_desk([row])
    page = made.view.head(0) + made.view.evidence(0) + notice(payload)
    assert payload not in page or not set(payload) & set('<>"')
    assert "<script" not in page
    assert "<svg" not in page
    assert page.count("<img") == 3  # the image and two of its class; the competitor has none


def test_head_tells_progress_and_failed_checks(make_desk):
    made = make_desk(queued=[rationale("elm wren", 1)])
    made.desk.reject(1, [])
    head = made.view.head(0)
    assert "1 of 3 judged" in head
    assert "failed check: language" in head
    assert "not judged" in head
    assert ">rejected<" in made.view.head(1)
