"""A small HTTP server for one person on one machine: fixed files, and answers as JSON.

Other pages in the same browser must not use it: it answers only under its own name (a host name
that another page lets point here is refused), to requests that its own page makes, and its page
loads nothing from elsewhere. It keeps nothing of what it is asked.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .requests import Refused

__all__ = ["Server"]

MOST_BYTES = 65_536  # of a request
PATIENCE = 10.0  # seconds that a connection may keep silent

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Server(ThreadingHTTPServer):
    """Files and answers at `address`, on 127.0.0.1 only.

    `files` are texts by path, such as "/page.js"; "/" is the page. `answers` are functions by
    path of what a page asks, called one at a time: each takes an object and returns one, or raises
    Refused. Port 0 is any free one.

    Raises OSError if the port is in use. `serve_forever()` runs it; use it as a context manager.

    >>> with Server(0, {"/": "<h1>hello</h1>"}, {}) as server:
    ...     server.address.startswith("http://127.0.0.1:")
    True
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # elsewhere two programs could share the port

    def __init__(self, port: int, files: Mapping[str, str], answers: Mapping[str, Answer]) -> None:
        self.files, self.answers = files, answers
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/"

    def server_bind(self) -> None:
        """As http.server does, without asking the network for the machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "minigrad", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        path = self.path.partition("?")[0]
        if path in self.server.answers:
            self._refuse_method("POST")
        elif path in self.server.files:
            kind = _TYPES[".html" if path == "/" else os.path.splitext(path)[1]]
            self._send(HTTPStatus.OK, kind, self.server.files[path].encode())
        else:
            self.send_error(HTTPStatus.NOT_FOUND, "There is nothing at this address.")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self._body()
        if body is None or not self._is_ours():
            return
        answer = self.server.answers.get(self.path)
        if answer is None:
            if self.path in self.server.files:
                self._refuse_method("GET, HEAD")
            else:
                self.send_error(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
        elif self.headers.get_content_type() != "application/json":
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Requests are application/json.")
        else:
            self._answer(answer, body)

    def do_OPTIONS(self) -> None:
        self._refuse_method("GET, HEAD, POST")

    do_PUT = do_DELETE = do_PATCH = do_TRACE = do_CONNECT = do_OPTIONS

    def _answer(self, answer: Answer, body: bytes) -> None:
        try:
            asked = json.loads(body.decode("utf-8"), parse_constant=_no_number)
            if not isinstance(asked, dict):
                raise ValueError
        except (ValueError, RecursionError):  # also of UTF-8, and of numbers too long
            self.send_error(HTTPStatus.BAD_REQUEST, "A request is one JSON object.")
            return
        try:
            with self.server.lock:
                found = answer(asked)
        except Refused as refusal:
            self.send_error(HTTPStatus.BAD_REQUEST, str(refusal))
        except Exception as error:
            self.log_error("%s: %s", type(error).__name__, error)
            self.send_error(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "This went wrong here; the terminal with the server says what.",
            )
        else:
            text = json.dumps(found, allow_nan=False)
            self._send(HTTPStatus.OK, "application/json", text.encode())

    def _is_ours(self) -> bool:
        """Whether the request is for this server's name and made by its page, or by none."""
        port = self.server.server_port
        names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        hosts = self.headers.get_all("Host", [])
        origins = self.headers.get_all("Origin", [])
        site = self.headers.get("Sec-Fetch-Site", "none")
        sites = ["same-origin", "none"]
        if self.command != "POST":  # a link on another page may lead here
            sites += ["same-site", "cross-site"]
        if len(hosts) != 1 or hosts[0].lower() not in names:
            said = f"This page is at {self.server.address} only."
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, said)
        elif origins not in ([], [f"http://{hosts[0]}"]) or site not in sites:
            self.send_error(HTTPStatus.FORBIDDEN, "Other pages can't ask here.")
        else:
            return True
        return False

    def _body(self) -> bytes | None:
        """The body, or None after a refusal."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") or len(lengths) != 1:
            self.send_error(HTTPStatus.LENGTH_REQUIRED, "A request has one Content-Length.")
        elif not (lengths[0].isascii() and lengths[0].isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length is a number of bytes.")
        elif len(lengths[0]) > 9 or int(lengths[0]) > MOST_BYTES:
            # What has already come is read, so that the answer isn't lost with the connection.
            self.connection.settimeout(0.1)
            try:
                for _ in range(16):
                    if not self.rfile.read1(MOST_BYTES):
                        break
            except OSError:
                pass
            said = f"A request has at most {MOST_BYTES:,} bytes: write a shorter text."
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
        else:
            body = self.rfile.read(int(lengths[0]))
            if len(body) == int(lengths[0]):
                return body
            self.send_error(HTTPStatus.BAD_REQUEST, "The request ends too early.")
        return None

    def _refuse_method(self, allowed: str) -> None:
        self._send_error(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed} here.", allowed)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """An error is JSON with a sentence, as answers are."""
        self._send_error(code, message or HTTPStatus(code).phrase)

    def _send_error(self, code: int, said: str, allowed: str = "") -> None:
        self.close_connection = True
        self._send(code, "application/json", json.dumps({"error": said}).encode(), allowed)

    def _send(self, code: int, kind: str, body: bytes, allowed: str = "") -> None:
        self.send_response(code)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if allowed:
            self.send_header("Allow", allowed)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Keeps quiet: what people write is their own."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
