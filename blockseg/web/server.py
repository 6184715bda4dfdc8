"""A server on loopback that lives as long as the user wants."""

from __future__ import annotations

import asyncio
import signal
import webbrowser
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from blockseg.core.errors import ConfigError
from blockseg.web.guard import Guard, GuardedHandler, NotHere, guarded_routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from blockseg.web.guard import Route

_LOOPBACK = "127.0.0.1"
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
_BODY = 2**30  # bytes of a request: a flood may touch every voxel of a pick


class PageFile(GuardedHandler):
    """A file of a page, from the package alone: one of those that are listed."""

    contents: dict[str, bytes]

    def get(self, name: str) -> None:
        """Send it."""
        content = self.contents.get(name or "index.html")
        if content is None:
            self.send_error(404, reason="there is nothing here")
            return
        kind = (name or "index.html").rpartition(".")[2]
        self.set_header("Content-Type", _KINDS[kind])
        self.finish(content)


def page_files(package: str) -> dict[str, bytes]:
    """Return the files of a page that a package ships, by name."""
    return {
        entry.name: entry.read_bytes()
        for entry in files(package).joinpath("page").iterdir()
        if entry.name.rpartition(".")[2] in _KINDS
    }


def serve(
    routes: Sequence[Route],
    *,
    port: int,
    browser: bool,
    on_address: Callable[[str], None],
    on_end: Callable[[], Awaitable[None]],
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    routes
        Pattern below the secret, handler, what it serves by name.
    port
        Port to listen on; any that is free if 0.
    browser
        Whether to open the page in the user's browser.
    on_address
        Told the address, secret included, when it can be opened.
    on_end
        Awaited before the end.

    Raises
    ------
    ConfigError
        If the port is taken.
    """
    asyncio.run(_serve(routes, port, browser, on_address, on_end))


async def _serve(
    routes: Sequence[Route],
    port: int,
    browser: bool,
    on_address: Callable[[str], None],
    on_end: Callable[[], Awaitable[None]],
) -> None:
    guard = Guard()
    application = Application(
        guarded_routes(guard, routes),
        default_handler_class=NotHere,
        default_handler_args={"guard": guard},
        log_function=lambda _: None,
    )
    try:
        sockets = bind_sockets(port, _LOOPBACK)
    except OSError as error:
        message = (
            f"--port {port} cannot be used ({error.strerror or error}); choose another, "
            "or 0 for any"
        )
        raise ConfigError(message) from error
    guard.port = sockets[0].getsockname()[1]
    server = HTTPServer(application, max_body_size=_BODY, max_buffer_size=_BODY)
    server.add_sockets(sockets)
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, ended.set)
    on_address(guard.address)
    if browser:
        await asyncio.to_thread(webbrowser.open, guard.address)
    try:
        await ended.wait()
    finally:
        server.stop()
        await server.close_all_connections()
        await on_end()
