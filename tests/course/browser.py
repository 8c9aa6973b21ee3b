"""A headless Chromium for the tests, driven over the DevTools protocol.

Nothing is downloaded: the machine's own browser is used, and the tests that need one skip, saying
so, where there is none. Talking to it needs only ``websocket-client``, which Jupyter installs.

To look at a page yourself (the README's picture is made so)::

    python tests/course/browser.py _build/html/book/05-backprop.html picture.png --width 1400 --dark
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--remote-allow-origins=*",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class PageError(AssertionError):
    """A script in the page raised."""


class Browser:
    """One page of a headless browser.

    Use :func:`open_browser`, which also ends the process.
    """

    def __init__(self, endpoint: str) -> None:
        self._socket = websocket.create_connection(endpoint, timeout=60, max_size=None)
        self._serial = 0
        self.requests: list[str] = []
        self.exceptions: list[str] = []
        self._loaded = False
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            text = details.get("exception", {}).get("description", details.get("text", ""))
            self.exceptions.append(str(text))

    def _receive(self) -> dict[str, Any]:
        message = cast(dict[str, Any], json.loads(self._socket.recv()))
        self._note(message)
        return message

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one DevTools command and return its result."""
        self._serial += 1
        serial = self._serial
        self._socket.send(json.dumps({"id": serial, "method": method, "params": params}))
        while True:
            message = self._receive()
            if message.get("id") == serial:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return cast(dict[str, Any], message.get("result", {}))

    def set_page(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Set the window's size in CSS pixels and the system's colour preference."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.send("Emulation.setEmulatedMedia", features=[scheme, motion])

    def open(self, target: Path | str, *, timeout: float = 60.0) -> None:
        """Open a file or an address and wait until its mathematics is typeset."""
        url = target.resolve().as_uri() if isinstance(target, Path) else target
        self.requests.clear()
        self.exceptions.clear()
        self._loaded = False
        self.send("Page.navigate", url=url)
        deadline = time.monotonic() + timeout
        while not self._loaded and time.monotonic() < deadline:
            self._receive()
        self.evaluate(
            "(async () => { if (window.MathJax && MathJax.startup) await MathJax.startup.promise;"
            " await new Promise(done => setTimeout(done, 60)); return true; })()"
        )

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript in the page and return its value as plain data."""
        result = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", str(details)))
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release one key in the focused element."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def screenshot(self, path: Path, *, full_page: bool = False) -> Path:
        """Write a PNG of the window, or of the whole page, and return its path."""
        options: dict[str, Any] = {"format": "png", "captureBeyondViewport": full_page}
        if full_page:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {
                "x": 0,
                "y": 0,
                "width": size["width"],
                "height": size["height"],
                "scale": 1,
            }
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", **options)["data"]))
        return path


def _endpoint(port: int, deadline: float) -> str:
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as reply:
                pages = [item for item in json.load(reply) if item["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the browser opened no page")
        time.sleep(0.05)


@contextmanager
def open_browser(executable: str, *, timeout: float = 60.0) -> Iterator[Browser]:
    """Start a browser with an empty profile and end it afterwards."""
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryDirectory(
        prefix="nncourse-browser-", ignore_cleanup_errors=True
    ) as profile:
        process = subprocess.Popen(
            [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            while not (port_file.exists() and port_file.read_text(encoding="utf-8").strip()):
                if process.poll() is not None:
                    raise RuntimeError(f"{executable} ended at once with {process.returncode}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{executable} did not start within {timeout:.0f} s")
                time.sleep(0.05)
            port = int(port_file.read_text(encoding="utf-8").split()[0])
            with Browser(_endpoint(port, deadline)) as browser:
                yield browser
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    """Write a picture of one page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page, not only its top")
    choices = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit("no Chromium or Chrome on this machine")
    with open_browser(executable) as browser:
        browser.set_page(width=choices.width, height=choices.height, dark=choices.dark)
        browser.open(choices.page)
        browser.screenshot(choices.picture, full_page=choices.full)


if __name__ == "__main__":
    main()
