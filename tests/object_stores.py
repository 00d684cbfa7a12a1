"""A real S3 server on this machine, behind a proxy that counts requests and makes some of them fail."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

# "500": the service fails. "cut": half of the body comes. "lost": it is done, but no answer comes. "slow": it takes
# half a second. "stale": a listing says what it said the last time.
Fault = Literal["500", "cut", "lost", "slow", "stale"]

_SLOW_SECONDS = 0.5


def _no_fault(method: str, number: int) -> Fault | None:
    return None


class S3:
    """The server.

    Attributes:
        requests: how many came, by method.
        fault: what is to happen to a request, by its method and its number since ``failing`` began.
    """

    def __init__(self, inner: str) -> None:
        self.inner = urlsplit(inner).netloc
        self.requests: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.fault: Callable[[str, int], Fault | None] = _no_fault
        self.listings: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {}
        self._lock = threading.Lock()
        self._number = 0

    @contextlib.contextmanager
    def failing(self, fault: Callable[[str, int], Fault | None]) -> Iterator[Counter[str]]:
        """Let requests fail; gives how often each fault came to pass."""
        self._number, self.fault, self.done = 0, fault, Counter()
        try:
            yield self.done
        finally:
            self.fault = _no_fault

    def fault_of(self, method: str) -> Fault | None:
        """What is to happen to the next request."""
        with self._lock:
            self.requests[method] += 1
            number, self._number = self._number, self._number + 1
            return self.fault(method, number)

    def new_bucket(self) -> Path:
        """An empty bucket, as the path of its address."""
        import fsspec

        name = f"bucket-{uuid.uuid4().hex}"
        fsspec.filesystem("s3", use_listings_cache=False).mkdir(f"s3://{name}")
        return Path(f"s3:/{name}")


def _handler(server: S3) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            fault = server.fault_of(self.command)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if fault == "slow":
                server.done["slow"] += 1
                time.sleep(_SLOW_SECONDS)
            if fault == "500":
                server.done["500"] += 1
                self._answer(500, [("Content-Type", "application/xml")], b"<Error><Code>InternalError</Code></Error>")
                return
            is_listing = self.command == "GET" and "list-type=2" in self.path
            if fault == "stale" and is_listing and self.path in server.listings:
                server.done["stale"] += 1
                self._answer(*server.listings[self.path])
                return
            status, headers, content = self._ask(body)
            if is_listing and status == 200:
                server.listings[self.path] = status, headers, content
            if fault == "lost":
                server.done["lost"] += 1
                self.close_connection = True
            elif fault == "cut" and self.command == "GET" and len(content) > 1:
                server.done["cut"] += 1
                self._answer(status, headers, content, keep=len(content) // 2)
            else:
                self._answer(status, headers, content)

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(server.inner, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                content = answer.read()
                return answer.status, answer.getheaders(), content
            finally:
                connection.close()

        def _answer(
            self, status: int, headers: list[tuple[str, str]], content: bytes, *, keep: int | None = None
        ) -> None:
            self.send_response_only(status)
            dropped = ("transfer-encoding", "connection", *(() if self.command == "HEAD" else ("content-length",)))
            for name, value in headers:
                if name.lower() not in dropped:
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[:keep])
            if keep is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward

    return Handler


@contextlib.contextmanager
def s3_server(cache: Path) -> Iterator[S3]:
    """Start the server, and let everything in this process and its children use it; skips where it is not installed."""
    for name in ("moto", "s3fs"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    server = S3(f"http://{host}:{port}")
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    environment = pytest.MonkeyPatch()
    try:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-at-all",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_address[1]}",
            "CLIPDEX_CACHE": str(cache),
        }.items():
            environment.setenv(name, value)
        yield server
    finally:
        environment.undo()
        proxy.shutdown()
        proxy.server_close()
        moto.stop()
