"""Stores that a server hands out to its own pages, in ranges of bytes.

They are added to an application that somebody else made, all of which is guarded then:
a request is answered only if :class:`~blockseg.web.guard.Guard` does not find it foreign,
and if the path of a store has the secret in it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.routing import AnyMatches, Matcher, Rule
from tornado.web import RequestHandler

from blockseg.web.guard import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from tornado.httputil import HTTPServerRequest
    from tornado.web import Application

    from blockseg.web.content import Content, Store
    from blockseg.web.guard import Guard

PREFIX = "data"
"""First part of the path of everything that is served."""

_KEY = rf"/{PREFIX}/(?P<token>[^/]+)/g[0-9]+/(?P<name>[A-Za-z0-9_-]+)/(?P<key>.+)"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 2**22  # bytes that are sent at a time


def store_address(
    guard: Guard, name: str, generation: int = 0, *, host: str = "127.0.0.1"
) -> str:
    """Return where a store is, for a browser.

    Parameters
    ----------
    guard
        Of the server.
    name
        Of the store.
    generation
        Another number for what has changed: browsers keep what they have seen.
    host
        Name of this machine.
    """
    place = f"http://{host}:{guard.port}/{PREFIX}/{guard.token}"
    return f"{place}/g{generation}/{name}/"


def mount(
    application: Application,
    guard: Guard,
    stores: Mapping[str, Store],
    executor_of: Callable[[str], Executor],
) -> None:
    """Let an application serve stores, and refuse whoever else asks it for anything.

    Parameters
    ----------
    application
        Of the pages; all that it serves is guarded from now on.
    guard
        Whom it answers.
    stores
        What is served, by names of letters, digits, ``_`` and ``-``.
    executor_of
        Reads and computes for the store of a name, beside the thread that answers.
    """
    rules = application.default_router.rules
    handled = {"guard": guard, "stores": stores, "executor_of": executor_of}
    application.add_handlers(r".*", [(_KEY, _StoreHandler, handled)])
    # After all others were added: what comes first decides.
    rules.insert(0, Rule(_Foreign(guard), _Refuse))


class _Foreign(Matcher):
    """Matches requests that are none of a page of ours."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        refused = self._guard.foreign(request)
        return AnyMatches().match(request) if refused else None


class _Refuse(RequestHandler):
    def prepare(self) -> None:
        self.set_status(403)
        self.finish("This server answers its own pages on this machine only.\n")


class _StoreHandler(RequestHandler):
    """One store's contents: whole or a range, to who knows the token."""

    def initialize(
        self,
        guard: Guard,
        stores: Mapping[str, Store],
        executor_of: Callable[[str], Executor],
    ) -> None:
        self._guard, self._stores, self._executor_of = guard, stores, executor_of
        self._gone = threading.Event()

    def set_default_headers(self) -> None:
        for header, value in PRIVATE.items():
            self.set_header(header, value)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", "application/octet-stream")
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
        known = self._guard.knows(token)
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
