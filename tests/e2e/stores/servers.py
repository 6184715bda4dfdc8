"""Servers on loopback, and what can go wrong on the way to them."""

import http.client
import http.server
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from blockseg.io.stores.address import Address
from blockseg.io.stores.location import RemotePath, location

BUCKET = "brains"


@dataclass
class Way:
    """The way to a server: what passes it is counted, and may be disturbed."""

    endpoint: str
    upstream: str
    fault: Callable[[str, str, int], str] = lambda *_: ""
    """Says from method, path and how often that was asked what happens: ``503``,
    ``403 AccessDenied``, ``truncate``, ``drop``, ``slow``; empty for nothing."""

    requests: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    _received: int = 0
    _under_way: int = 0
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, method: str, path: str) -> str:
        with self._lock:
            self.requests[f"{method} {path}"] += 1
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            return self.fault(method, path, self.requests[f"{method} {path}"])

    def end(self, received: int) -> None:
        with self._lock:
            self._under_way -= 1
            self._received += received
            self._lock.notify_all()

    @property
    def received(self) -> int:
        """Bytes that were sent on; those who got the last ones may ask before it ends."""
        with self._lock:
            self._lock.wait_for(lambda: not self._under_way, timeout=300)
            return self._received

    def forget(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: not self._under_way, timeout=300)
            self.requests.clear()
            self._received = self.most_at_once = 0

    def asked(self, method: str, part: str = "") -> int:
        """Return how many requests of a method had a part in their path."""
        found = (n for one, n in self.requests.items() if one.startswith(f"{method} "))
        if not part:
            return sum(found)
        return sum(
            n
            for one, n in self.requests.items()
            if one.startswith(f"{method} ") and part in one
        )


class Forwarding(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    way: Way

    def log_message(self, *_: object) -> None:
        pass

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what, sent = self.way.begin(self.command, self.path), 0
        try:
            if what == "slow":
                time.sleep(0.3)
            if what == "drop":
                self.close_connection = True
                return
            status, _, code = what.partition(" ")
            if status.isdigit():
                content = (
                    f"<Error><Code>{code}</Code></Error>".encode() if code else b""
                )
                self._answer(
                    int(status), {"Content-Length": str(len(content))}, content
                )
                return
            host = self.way.upstream.removeprefix("http://")
            upstream = http.client.HTTPConnection(host, timeout=300)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            headers["Host"] = host
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower()
                not in ("transfer-encoding", "connection", "content-length")
            }
            length = (
                answer.getheader("Content-Length") if self.command == "HEAD" else None
            )
            kept["Content-Length"] = length or str(len(content))
            if what == "truncate":
                content, self.close_connection = content[: len(content) // 2], True
            self._answer(answer.status, kept, content)
            sent = len(content)
        except OSError:
            self.close_connection = True
        finally:
            self.way.end(sent)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing: that clients go away is what is tried here."""


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    ranges: bool
    counted: Counter[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        file = self.root / unquote(self.path).lstrip("/")
        self.counted[self.command] += 1
        if not file.is_file():
            self._answer(404, {}, b"")
            return
        content, headers = file.read_bytes(), {"ETag": f'"{file.stat().st_mtime_ns}"'}
        headers["Last-Modified"] = self.date_time_string(file.stat().st_mtime)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if asked and self.ranges:
            first, last = asked.groups()
            start = int(first) if first else max(0, len(content) - int(last))
            stop = min(int(last) + 1, len(content)) if first and last else len(content)
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            self._answer(206, headers, content[start:stop])
            return
        self._answer(200, headers, content)

    do_HEAD = do_GET

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def web_server(root: Path, *, ranges: bool = True) -> Iterator[str]:
    """Serve the files below a folder, without any listing."""
    settings = {"root": root, "ranges": ranges, "counted": Counter()}
    with serving(type("Handler", (_Web,), settings)) as url:
        yield url


def stored(address: str) -> RemotePath:
    """Return a place of a store."""
    return RemotePath(Address.parse(address))


def uploaded(folder: Path, to: str) -> str:
    """Put the files below a folder into a store, and return where."""
    place = location(to)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            (place / file.relative_to(folder).as_posix()).write_bytes(file.read_bytes())
    return to
