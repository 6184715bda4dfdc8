"""Addresses that nothing can be made of, and web servers that answer what they like."""

from __future__ import annotations

import functools
import http.server
import threading
from typing import TYPE_CHECKING

from tests.hostile.case import Case
from tests.hostile.readers import FAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.hostile.case import Stock, Words

SECRET = "hunter2"

ADDRESSES = {
    "an unknown scheme": "gopher://example.org/brain",
    "a password": f"s3://KEY:{SECRET}@brains/brain",
    "a password for a web server": f"https://me:{SECRET}@example.org/brain",
    "a token": f"https://example.org/brain?token={SECRET}",
    "no bucket": "s3://",
    "a bucket of signs": "s3://%%%/brain",
    "a way out of the bucket": "s3://brains/../../etc/passwd",
    "a way out of the server": "https://example.org/a/../../b",
    "a port beyond all": "s3+http://127.0.0.1:99999/brains/brain",
    "a port that is no number": "s3+http://127.0.0.1:x/brains/brain",
    "an unfinished address of six groups": "s3+http://[::1/brains/brain",
    "a server of its own for Google": "gs+http://127.0.0.1:9/brains/brain",
    "a bucket of 5,000 letters": f"s3://{'b' * 5000}/brain",
    "a region that ends the line": "s3://region=a%0d%0ab@brains/brain",
}

OPTIONS = {
    "an endpoint without a scheme": ("--endpoint", "127.0.0.1:9000"),
    "an endpoint with a password": ("--endpoint", f"https://me:{SECRET}@example.org"),
    "an endpoint with a path": ("--endpoint", "https://example.org/s3"),
    "an endpoint that is a file": ("--endpoint", "file:///etc/passwd"),
    "a region that is none": ("--region", "../../x"),
}

DEEP = "[" * 20_000 + "]" * 20_000
PAGE = "<!doctype html><title>Every page</title>"


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "circle":
            self.answer(302, b"", Location=self.path)
        elif kind == "disk":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif kind == "endless":
            self.answer(200, b"{", **{"Content-Length": str(10**15)})
        elif kind == "large":
            self.answer(200, b" " * (20 * 2**20))
        elif kind == "deep":
            self.answer(200, DEEP.encode())
        elif kind == "page":
            self.answer(200, PAGE.encode(), **{"Content-Type": "text/html"})
        elif kind == "refused":
            self.answer(403, PAGE.encode())
        elif kind == "binary":
            self.answer(200, bytes(range(256)))
        else:
            self.answer(404, b"")

    do_HEAD = do_GET

    def answer(self, status: int, content: bytes, **more: str) -> None:
        self.send_response_only(status)
        for name, value in {
            "Content-Length": str(len(content)),
            "Last-Modified": "Mon, 30 Nov 2026 10:00:00 GMT",
            **more,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that left."""


ANSWERS = {
    "a redirection in a circle": "circle",
    "a redirection to a file of the disk": "disk",
    "metadata of 10¹⁵ bytes": "endless",
    "metadata of 20 MiB": "large",
    "metadata nested 20,000 deep": "deep",
    "a page at every address": "page",
    "a refusal of every address": "refused",
    "bytes for metadata": "binary",
    "nothing at any address": "nothing",
}


@functools.cache
def _server() -> str:
    """Start the server, for as long as the process lives; return its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for title, address in ADDRESSES.items():
        yield Case("Addresses", f"{title} (run)", _run(address))
        yield Case("Addresses", f"{title} (OUT)", _to(address))
    for title, words in OPTIONS.items():
        yield Case("Addresses", f"{title} (run)", _with(*words))
    for title, kind in ANSWERS.items():
        yield Case("Web servers", f"{title} (info)", _info(kind))


def _run(address: str) -> Callable[[Stock], Words]:
    def make(stock: Stock) -> Words:
        return ("run", address, stock.folder / "out.zarr", *FAKE)

    return make


def _to(address: str) -> Callable[[Stock], Words]:
    def make(stock: Stock) -> Words:
        return ("run", stock.sound / "brain.zarr", address, *FAKE)

    return make


def _with(*words: str) -> Callable[[Stock], Words]:
    def make(stock: Stock) -> Words:
        return (
            "run",
            stock.sound / "brain.zarr",
            stock.folder / "out.zarr",
            *words,
            *FAKE,
        )

    return make


def _info(kind: str) -> Callable[[Stock], Words]:
    def make(stock: Stock) -> Words:  # noqa: ARG001 - as the others are called
        return ("info", f"{_server()}/{kind}/brain.zarr")

    return make
