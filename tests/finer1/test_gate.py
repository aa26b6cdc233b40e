import asyncio

import pytest

from finer1.gate import Gate

OWN = {"host": "127.0.0.1:4200"}
FOLLOWED = {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}


async def behind(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"secret"})


def ask(headers, method="GET", kind="http"):
    """What a server behind the gate answers."""
    sent = []

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "headers": raw}
    asyncio.run(Gate(behind, "default-src 'self'")(scope, None, send))
    return sent


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        {"host": "localhost:4200"},
        {**OWN, "origin": "http://127.0.0.1:4200"},
        # The page by its other name.
        {**OWN, "origin": "http://localhost:4200", "sec-fetch-site": "cross-site"},
        {**OWN, "sec-fetch-site": "same-origin"},
        {**OWN, "sec-fetch-site": "none"},  # typed by the user
        {**FOLLOWED, "sec-fetch-dest": "document"},
    ],
)
def test_the_servers_own_page_and_programs_may_ask(headers):
    start, body = ask(headers)
    assert (start["status"], body["body"]) == (200, b"secret")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "rebound.example.org:4200"},
        {"host": "127.0.0.1.example.org:4200"},
        {"host": "127.0.0.1:4200@example.org:4200"},
        {**OWN, "origin": "http://example.org"},
        {**OWN, "origin": "null"},
        {**OWN, "origin": ""},
        {**OWN, "origin": "http://127.0.0.1:4201"},
        {**OWN, "origin": "https://127.0.0.1:4200"},
        {**OWN, "origin": "http://127.0.0.1:4200.example.org"},
        {**OWN, "sec-fetch-site": "cross-site"},  # a picture or a script, which have no Origin
        {**OWN, "sec-fetch-site": "same-site"},  # a page of another port of this machine
        {**FOLLOWED, "sec-fetch-dest": "iframe"},
    ],
)
def test_other_sites_get_nothing(headers):
    start, body = ask(headers)
    assert start["status"] == 403
    assert b"secret" not in body["body"]


def test_a_form_of_another_site_is_no_followed_link():
    assert ask({**FOLLOWED, "sec-fetch-dest": "document"}, "POST")[0]["status"] == 403


def test_a_socket_of_another_site_is_closed():
    (answer,) = ask({**OWN, "origin": "http://example.org"}, kind="websocket")
    assert answer == {"type": "websocket.close", "code": 1008}


@pytest.mark.parametrize("headers", [OWN, {}])
def test_every_answer_says_what_its_page_may_load(headers):
    sent = dict(ask(headers)[0]["headers"])
    assert sent[b"content-security-policy"] == b"default-src 'self'"
    assert sent[b"x-content-type-options"] == b"nosniff"
