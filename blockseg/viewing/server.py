"""Server of stores to pages of one origin on this machine, whoever else may ask.

A page on another site can make a browser send requests to this machine. So each is
refused unless it names this very server (no foreign name may be made to point here), comes
from one of its own pages (``Origin``), and knows the token, which nobody can guess.
"""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from tornado.routing import AnyMatches, Matcher, Rule
from tornado.web import RequestHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from tornado.httputil import HTTPServerRequest
    from tornado.web import Application

    from blockseg.viewing.content import Content, Store

PREFIX = "data"
"""First part of the path of everything that is served."""

_KEY = rf"/{PREFIX}/(?P<token>[^/]+)/g[0-9]+/(?P<name>[A-Za-z0-9_-]+)/(?P<key>.+)"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 2**22  # bytes that are sent at a time


@dataclass(frozen=True, slots=True)
class Access:
    """Things that a request must show to be answered."""

    token: str
    """Secret part of every address."""

    port: int
    """Port that the server listens on."""

    @property
    def hosts(self) -> frozenset[str]:
        """Names by which a browser on this machine calls the server."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    @property
    def origins(self) -> frozenset[str]:
        """Origins of the server's own pages."""
        return frozenset(f"http://{host}" for host in self.hosts)

    def refuses(self, host: str, origin: str | None) -> bool:
        """Say whether a request is none of a page of ours on this machine."""
        return host not in self.hosts or origin not in (None, *self.origins)

    def address(
        self, name: str, generation: int = 0, *, host: str = "127.0.0.1"
    ) -> str:
        """Return where a store is, for a browser.

        Parameters
        ----------
        name
            Of the store.
        generation
            Another number for what has changed: browsers keep what they have seen.
        host
            Name of this machine.
        """
        place = f"http://{host}:{self.port}/{PREFIX}/{self.token}"
        return f"{place}/g{generation}/{name}/"


def mount(
    application: Application,
    access: Access,
    stores: Mapping[str, Store],
    executor_of: Callable[[str], Executor],
) -> None:
    """Let an application serve stores, and refuse whoever else asks it for anything.

    Parameters
    ----------
    application
        Of the pages; all that it serves is guarded from now on.
    access
        What is answered.
    stores
        What is served, by names of letters, digits, ``_`` and ``-``.
    executor_of
        Reads and computes for the store of a name, beside the thread that answers.
    """
    rules = application.default_router.rules
    handled = {"access": access, "stores": stores, "executor_of": executor_of}
    application.add_handlers(r".*", [(_KEY, _StoreHandler, handled)])
    # After all others were added: what comes first decides.
    rules.insert(0, Rule(_Foreign(access), _Refuse))


class _Foreign(Matcher):
    """Matches requests that are none of a page of ours."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        headers = request.headers
        refused = self._access.refuses(request.host, headers.get("Origin"))
        return AnyMatches().match(request) if refused else None


class _Refuse(RequestHandler):
    def prepare(self) -> None:
        self.set_status(403)
        self.finish("This server answers its own pages on this machine only.\n")


class _StoreHandler(RequestHandler):
    """One store's contents: whole or a range, to who knows the token."""

    def initialize(
        self,
        access: Access,
        stores: Mapping[str, Store],
        executor_of: Callable[[str], Executor],
    ) -> None:
        self._access, self._stores, self._executor_of = access, stores, executor_of
        self._gone = threading.Event()

    def set_default_headers(self) -> None:
        # Blocks of a run that goes on appear; what was seen is not what will be.
        self.set_header("Cache-Control", "no-store")
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("X-Content-Type-Options", "nosniff")
        origin = self.request.headers.get("Origin")
        if origin is not None:  # one of ours, or it would have been refused
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Vary", "Origin")
            self.set_header("Access-Control-Allow-Headers", "Range")
            self.set_header("Access-Control-Expose-Headers", "Content-Range")

    def on_connection_close(self) -> None:
        self._gone.set()

    def options(self, token: str, name: str, key: str) -> None:  # noqa: ARG002
        if self._allowed(token, name):
            self.set_status(204)

    async def head(self, token: str, name: str, key: str) -> None:
        await self.get(token, name, key)

    async def get(self, token: str, name: str, key: str) -> None:
        if not self._allowed(token, name):
            return
        store = self._stores[name]
        self._executor = self._executor_of(name)
        content = await self._threaded(lambda: store.open(key, self._wanted))
        if self._gone.is_set():
            return
        if content is None:
            self.set_status(404)
            return
        span = _span(self.request.headers.get("Range"), content.size)
        if span is None:
            self.set_status(416)
            self.set_header("Content-Range", f"bytes */{content.size}")
            return
        start, stop = span
        if stop - start < content.size:
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
        self.set_header("Content-Length", str(stop - start))
        if self.request.method != "HEAD":
            await self._send(content, start, stop)

    async def _send(self, content: Content, start: int, stop: int) -> None:
        for first in range(start, stop, _PIECE):
            last = min(first + _PIECE, stop)
            piece = await self._threaded(partial(content.read, first, last))
            if self._gone.is_set():
                return
            self.write(piece)
            await self.flush()

    def _wanted(self) -> bool:
        return not self._gone.is_set()

    def _allowed(self, token: str, name: str) -> bool:
        known = compare_digest(token.encode(), self._access.token.encode())
        if not known or name not in self._stores:
            self.set_status(403 if not known else 404)
            return False
        return True

    async def _threaded(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """Return first byte and end of what a range asks for; None if there is nothing there.

    Several ranges, or what is none, get everything, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if not first:  # the last so many bytes: where the index of a shard is
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
    return (start, stop) if start < stop else None
