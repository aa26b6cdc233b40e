"""The Prefect server of `python -m flows.deploy`: who may ask it."""

import os
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.slow
PATIENCE_S = 600
FLOW = """
from prefect import flow
@flow(name="toy")
def toy():
    return 1
toy()
"""


@pytest.fixture(scope="module")
def server(repository, tmp_path_factory):
    """(address, process, environment) of a server in a folder of its own."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "FINER1_"))}
    environ = {**kept, "PYTHONPATH": str(repository), "PREFECT_HOME": str(folder / ".prefect")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.prefect_server", str(port)],
            cwd=folder, env=environ, stdout=log, stderr=log,
        )  # fmt: skip
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            try:
                assert httpx.get(f"{address}/api/health", timeout=60).json() is True
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield address, process, {**environ, "PREFECT_API_URL": f"{address}/api"}
    finally:
        process.terminate()
        process.wait(120)


def ask(address, **headers):
    """The answer to what a page of the UI asks: it changes nothing, and reads all flow runs."""
    path = f"{address}/api/flow_runs/filter"
    return httpx.post(path, json={}, headers=headers, timeout=PATIENCE_S)


def test_flows_and_the_page_reach_it(server):
    address, process, environ = server
    subprocess.run([sys.executable, "-c", FLOW], env=environ, check=True, timeout=PATIENCE_S)
    (run,) = ask(address, Origin=address).json()
    assert run["state_name"] == "Completed"
    page = httpx.get(f"{address}/", follow_redirects=True, timeout=PATIENCE_S)
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
    settings = httpx.get(f"{address}/ui-settings", timeout=PATIENCE_S).json()
    assert settings["api_url"] == f"{address}/api"
    # A page opened as localhost asks the API by its number.
    other = address.replace("127.0.0.1", "localhost")
    assert ask(address, Origin=other).headers["access-control-allow-origin"] == other
    listening = {
        item.laddr.ip
        for item in psutil.Process(process.pid).net_connections()
        if item.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "rebound.example.org:4200"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_sites_page_neither_reads_nor_starts_runs(server, headers):
    address, _, _ = server
    answer = ask(address, **headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}
    assert httpx.options(f"{address}/api/flows/", headers={**headers, **asked}).status_code == 403


def test_another_sites_page_gets_no_events(server):
    address, _, _ = server
    socket_address = address.replace("http", "ws") + "/api/events/out"
    with pytest.raises(InvalidStatus, match="403"):
        connect(socket_address, origin="http://example.org")
    with connect(socket_address, subprotocols=["prefect"], open_timeout=60):
        pass
