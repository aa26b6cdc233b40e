import pytest

from finer1.recognition.sections import sections_so_far


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("<think><anal", {}),
        ("<think><analysis>a red b", {"analysis": "a red b"}),
        ("<think><analysis>red</ana", {"analysis": "red"}),
        (
            "<think><analysis>red</analysis><options>ash wren, el",
            {"analysis": "red", "options": "ash wren, el"},
        ),
        ("<think><options>first", {}),  # not in order
        (
            "<think><analysis>a</analysis><options>b</options><comparison>c < d</comparison>"
            "<prediction>e</prediction></think><answer>e</answer>",
            {"analysis": "a", "options": "b", "comparison": "c < d", "prediction": "e"},
        ),
    ],
)
def test_sections_are_read_as_far_as_they_are_written(text, found):
    assert sections_so_far(text) == found
