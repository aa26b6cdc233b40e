import pytest

from finer1.tryout.client import Asked
from finer1.tryout.fields import asked_of, parse_names


@pytest.fixture
def said(tmp_path):
    """The fields of a page with one of them changed."""
    path = tmp_path / "x.png"
    path.write_bytes(b"content")

    def said(**changes):
        fields = {
            "path": str(path),
            "mode": "open",
            "names": "",
            "category": "bird",
            "votes": 5,
            "temperature": 0.7,
        }
        return asked_of(**fields | changes)

    return said


def test_the_fields_are_what_is_asked(said):
    assert said() == Asked(b"content", (), "bird", 5, 0.7)
    listed = said(mode="list", names="elm wren\noak wren", category=" bird ")
    assert listed == Asked(b"content", ("elm wren", "oak wren"), "bird", 5, 0.7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": None}, "drop, paste or choose an image first"),
        ({"path": "gone.png"}, "the image was removed after an hour; choose it again"),
        ({"category": " "}, "say what the image shows"),
        ({"votes": None}, "say how many votes"),
        ({"votes": 9}, "votes are 0 to 8"),
        ({"votes": -1}, "votes are 0 to 8"),
        ({"temperature": 0}, "the temperature of votes is above 0, to 2"),
        ({"temperature": 2.1}, "the temperature of votes is above 0, to 2"),
        ({"mode": "list", "names": "elm wren"}, "two names or more"),
    ],
)
def test_what_is_missing_or_wrong_is_said_before_anything_is_asked(said, changes, message):
    with pytest.raises(ValueError, match=message):
        said(**changes)


def test_without_votes_no_temperature_is_wrong(said):
    assert said(votes=0, temperature=0).votes == 0


def test_names_are_lines_each_once():
    assert parse_names(" elm wren \n\noak wren\nelm wren") == ("elm wren", "oak wren")
    with pytest.raises(ValueError, match="two names or more"):
        parse_names("elm wren\n")
