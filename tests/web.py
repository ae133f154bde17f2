"""A local server that serves files as the hubs do, or stalls, cuts the connection or sends a wrong length."""

from __future__ import annotations

import hashlib
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

BODY = b"PK" + np.random.default_rng(0).bytes(300_001)
CUT = 100_000  # bytes that come before a connection is cut


class Server(ThreadingHTTPServer):
    """Serves ``files`` by path and else ``body``, in one of several ways; ``requests`` are the Range headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.way, self.requests = BODY, "well", list[str | None]()
        self.then = ""  # the way of all answers but the first; empty: the same
        self.kind = "application/zip"
        self.files: dict[str, bytes] = {}

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.root}/some/data.zip"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        """What a hub says of a file: its length, and as ETag its SHA-256."""
        body = self.server.files.get(self.path, self.server.body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(self.headers["Range"])
        way = server.way if len(server.requests) == 1 else server.then or server.way
        if way in ("gone", "broken"):
            return self._start({"gone": 404, "broken": 503}[way], 0)
        body, start = server.files.get(self.path, server.body), 0
        if self.headers["Range"] and way != "no ranges":
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            return self._start(416, 0)
        said = len(body) - start + 1000 * (way == "claims more")
        self._start(206 if start else 200, said, start, len(body))
        if way == "cuts":
            self.wfile.write(body[start : start + CUT])
        elif way == "stalls":
            self.wfile.write(body[start : start + CUT])
            self.wfile.flush()
            time.sleep(3.0)
        else:
            self.wfile.write(body[start : start + said])
        self.close_connection = True

    def _start(self, status: int, length: int, start: int = 0, total: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", self.server.kind)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
