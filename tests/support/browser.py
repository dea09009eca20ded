"""Chromium without a window, driven as a person would: keys, clicks, sizes, colours, paper.

It speaks the DevTools protocol over a pipe: JSON messages that end with a zero byte.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
    *("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--disable-extensions"),
    *("--no-first-run", "--disable-background-networking"),
)
KEYS = {
    "Tab": ("Tab", 9, None),
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, None),
    "ArrowRight": ("ArrowRight", 39, None),
    "End": ("End", 35, None),
    "Home": ("Home", 36, None),
}


class Browser:
    """One process; `page()` opens a page in it."""

    def __init__(self, folder):
        if BROWSER is None:
            pytest.skip("needs Chromium")
        ours, theirs = os.pipe(), os.pipe()
        self._read, self._write = theirs[0], ours[1]
        self._process = subprocess.Popen(
            [
                *("sh", "-c", f'exec "$@" 3</dev/fd/{ours[0]} 4>/dev/fd/{theirs[1]}', "sh"),
                *(BROWSER, *OPTIONS, f"--user-data-dir={folder}"),
            ],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._numbers, self._rest, self.events = itertools.count(1), b"", []

    def close(self):
        with contextlib.suppress(OSError):
            self.ask("Browser.close")
        self._process.wait(20)
        os.close(self._read)
        os.close(self._write)

    def ask(self, method, session=None, **parameters):
        """The result of a command of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(60)
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def wait(self, session, method):
        """The next event of this name."""
        while True:
            for i, event in enumerate(self.events):
                if event.get("sessionId") == session and event["method"] == method:
                    return self.events.pop(i)
            self.events.append(self._next(60))

    def _next(self, seconds):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], seconds)
            assert ready, "the browser doesn't answer"
            got = os.read(self._read, 1 << 20)
            assert got, "the browser has ended"
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    @contextlib.contextmanager
    def page(self, address, *, width=1100, height=900, dark=False):
        """A page of this size and colour scheme, loaded; closed at the end."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        try:
            yield Page(self, session, address, width, height, dark)
        finally:
            self.ask("Target.closeTarget", targetId=target)
            self.events = [e for e in self.events if e.get("sessionId") != session]


class Page:
    """What can be done with an open page, and what it has said and fetched."""

    def __init__(self, browser, session, address, width, height, dark):
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.resize(width, height)
        self.prefer("prefers-color-scheme", "dark" if dark else "light")
        self.go(address)

    def ask(self, method, **parameters):
        return self._browser.ask(method, self._session, **parameters)

    def resize(self, width, height):
        """Another size of the window; a narrow one is a phone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.ask("Emulation.setDeviceMetricsOverride", **size, mobile=width < 600)

    def prefer(self, name, value, media=""):
        """What the reader's system asks for, such as prefers-color-scheme; "print": paper."""
        features = [{"name": name, "value": value}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=features)

    def go(self, address):
        self.ask("Page.navigate", url=address)
        self._browser.wait(self._session, "Page.loadEventFired")

    def run(self, script):
        """The value of an expression in the page; a promise's, too."""
        found = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script, seconds=20):
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + seconds
        script = f"(() => {{ const v = {script}; return v instanceof Node || v }})()"
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"still not: {script}"
            time.sleep(0.02)
        return found

    def press(self, key, **modifiers):
        """A key, as from a keyboard."""
        code, number, text = KEYS[key]
        event = {"key": key, "code": code, "windowsVirtualKeyCode": number, **modifiers}
        down = {**event, "text": text} if text else event
        self.ask("Input.dispatchKeyEvent", type="keyDown", **down)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    def write(self, text):
        """Text into what has the focus."""
        self.ask("Input.insertText", text=text)

    def click(self, selector, index=0):
        """The middle of an element, as by a mouse or a finger: what lies there gets it."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{index}];"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )
        place = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.ask("Input.dispatchMouseEvent", type="mousePressed", **place)
        self.ask("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def picture(self, path):
        """A screenshot of the whole page."""
        taken = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def pdf(self):
        """The page as it prints."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=False)["data"])

    def complaints(self):
        """Errors and warnings of the console so far."""
        self.run("0")
        found = []
        for event in self._mine():
            said = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(said["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded":
                found.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(str([a.get("value") for a in said["args"]]))
        return found

    def fetched(self):
        """The addresses of all requests so far."""
        self.run("0")
        kind = "Network.requestWillBeSent"
        return [e["params"]["request"]["url"] for e in self._mine() if e["method"] == kind]

    def _mine(self):
        return [e for e in self._browser.events if e.get("sessionId") == self._session]
