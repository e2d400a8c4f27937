"""A headless Chromium, driven by its DevTools protocol (chromedevtools.github.io/devtools-protocol)."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from vdc.shell import start
from vdc.wait import NotYet, wait_for

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 60.0  # a starved host takes its time
_OFFLINE = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-port=0",
)  # fmt: skip


def find() -> str | None:
    """Return where a browser is that can be driven, or None."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


class Page:
    """A page of the browser."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._number = 0
        self.requests: list[str] = []
        self.errors: list[str] = []

    def call(self, method: str, **parameters: object) -> Mapping[str, Any]:
        """Do what a method of the protocol does, and return what it returns."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])
            self._note(told)

    def open(self, path: Path, *, width: int = 1280, height: int = 1600, dark: bool = False) -> None:
        """Open a file, and wait until its script has drawn it."""
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call(
            "Emulation.setEmulatedMedia", features=[scheme, {"name": "prefers-reduced-motion", "value": "reduce"}]
        )
        self.call("Page.navigate", url=path.as_uri())
        wait_for(self._drawn, what=f"{path.name} to be drawn", timeout=_SECONDS)

    def size(self, width: int, height: int) -> None:
        """Make the page as wide and as high as that."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript comes to, as plain data."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        self._press(*self.middle(selector))
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from a point to another."""
        self._mouse("mousePressed", *start)
        self._mouse("mouseMoved", (start[0] + end[0]) / 2, end[1])
        self._mouse("mouseMoved", *end)
        self._mouse("mouseReleased", *end)
        self.settle()

    def key(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)
        self.settle()

    def write(self, selector: str, text: str) -> None:
        """Write into a field, instead of what stands there."""
        self.run(f"{_found(selector)}.focus(), {_found(selector)}.select()")
        self.call("Input.insertText", text=text)
        self.settle()

    def middle(self, selector: str) -> tuple[float, float]:
        """Return the middle of an element, which is brought into view."""
        box = self.run(
            f"(() => {{ const e = {_found(selector)}; e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return box[0], box[1]

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))

    def _press(self, x: float, y: float) -> None:
        self._mouse("mousePressed", x, y)
        self._mouse("mouseReleased", x, y)

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def _drawn(self) -> None:
        if not self.run("document.readyState === 'complete' && !!document.body"):
            raise NotYet("it is being loaded")
        if self.run("!!document.getElementById('lanes') && !document.documentElement.dataset.ready"):
            raise NotYet("the time line is not there", *self.errors)

    def _note(self, told: Mapping[str, Any]) -> None:
        if told.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["params"]["request"]["url"])
        elif told.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["params"]["exceptionDetails"])[:500])


@contextmanager
def page(directory: Path) -> Iterator[Page]:
    """Start a browser with a profile in `directory`, and offer its page."""
    browser = find()
    assert browser is not None
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with (directory / "browser.log").open("wb") as log:
        argv = [browser, *_OFFLINE, *sandbox, f"--user-data-dir={directory / 'profile'}", "about:blank"]
        process = start(argv, output=log)
        try:
            port = wait_for(lambda: _port(directory), what="the browser", timeout=_SECONDS)
            socket = websocket.create_connection(_address(port), timeout=_SECONDS, suppress_origin=True)
            try:
                yield Page(socket)
            finally:
                socket.close()
        finally:
            process.terminate()
            process.wait()


def _port(directory: Path) -> int:
    file = directory / "profile" / "DevToolsActivePort"
    if not file.exists() or not file.read_text():
        raise NotYet("it has no port yet")
    return int(file.read_text().splitlines()[0])


def _address(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/json/list")
        targets = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return str(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))


def _found(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"
