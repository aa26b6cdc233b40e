import pytest

from tasks.tracking.store import first_line, shown_uri, tracking_uri


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///runs/own.db", "sqlite:///{root}/runs/own.db"),
        ("sqlite:////elsewhere/own.db", "sqlite:////elsewhere/own.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_local_store_has_the_same_address_from_every_folder(
    tmp_path, monkeypatch, given, expected
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert tracking_uri(tmp_path) == expected.format(root=tmp_path)


def test_a_password_with_an_at_sign_is_not_shown():
    assert shown_uri("https://me:p@ss@host:5000/a@b") == "https://host:5000/a@b"


def test_an_error_is_cut_where_no_password_is():
    # Character 160 lies within the password.
    address = "x" * 140 + " https://me:" + "secret" * 10 + "@host"
    assert first_line(OSError(address)) == "x" * 140 + " https://host"
    assert len(first_line(OSError("x" * 200))) == 160
