"""Headless Chromium over its DevTools protocol, as far as the tests of a page need it."""

import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

PATIENCE_S = 120
MOUSE = (
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,"
    "primaryPointerType=4,availablePointerTypes=4"
)
"""Without it a page that asks is told that the device has no pointer."""


class Tab:
    """One page; every call waits for its answer."""

    def __init__(self, socket):
        self._socket = socket
        self._calls = 0
        self.requests = []
        self.errors = []
        self.failures = []
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **params):
        """Call a method of the protocol; returns its result."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if message.get("id") == self._calls:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message):
        if message["method"] == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message["method"] == "Network.responseReceived":
            response = message["params"]["response"]
            if response["status"] >= 500:
                self.failures.append(response["url"])
        if message["method"] == "Runtime.exceptionThrown":
            self.errors.append(message["params"]["exceptionDetails"])

    def run(self, script):
        """Value of a JavaScript expression."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, url):
        self.send("Page.navigate", url=url)

    def resize(self, width, height):
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 640,
        )

    def wait(self, script, seconds=PATIENCE_S):
        """Wait until a JavaScript expression is true; returns its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}; the page says {self.text('body')[:2000]}")

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def click(self, selector):
        """Press the left mouse button in the middle of an element."""
        place = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key, modifiers=0):
        """Press and release a key; modifiers: 2 for Ctrl."""
        text = {"text": key} if len(key) == 1 and not modifiers else {}
        for kind in ("keyDown", "keyUp"):
            more = text if kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers, **more)

    def write(self, text):
        """Type into the field that has the focus."""
        self.send("Input.insertText", text=text)

    def picture(self, path):
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(data["data"]))


@contextmanager
def chromium_tab(profile, *words):
    """A tab of a Chromium that the machine has; skips the test where it has none.

    words: further options of the command.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine")
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-port=0",
        "--window-size=1360,1000",
        f"--user-data-dir={profile}",
        *words,
        "about:blank",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_address(Path(profile)), max_size=None, ping_interval=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def _address(profile):
    """WebSocket of the first tab; Chromium writes its port to a file."""
    port = profile / "DevToolsActivePort"
    end = time.monotonic() + PATIENCE_S
    while not (port.exists() and len(port.read_text().splitlines()) > 1):
        assert time.monotonic() < end, "chromium has not started"
        time.sleep(0.05)
    number = port.read_text().splitlines()[0]
    targets = httpx.get(f"http://127.0.0.1:{number}/json", timeout=PATIENCE_S).json()
    return next(item["webSocketDebuggerUrl"] for item in targets if item["type"] == "page")
