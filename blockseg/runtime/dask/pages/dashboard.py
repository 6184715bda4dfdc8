"""Dashboard of our own scheduler: for who knows its address, and loaded when they look."""

from __future__ import annotations

import socket
from secrets import compare_digest
from typing import TYPE_CHECKING, Any

from tornado.routing import Router
from tornado.web import Application

from blockseg.runtime.board import EXTENSION

if TYPE_CHECKING:
    from distributed import Scheduler

_LINK = "/status"


class Dashboard(Router):
    """All pages of a scheduler, below a path that nobody can guess.

    Every account of a machine reaches a port of its loopback interface, and so do web
    pages in a browser that runs there. Whatever is not asked for below the path is not
    there. Bokeh, which takes half a second to load, is loaded at the first request that is,
    and with it the page of the run, ``blockseg``, which stands in the head of all pages.

    Parameters
    ----------
    scheduler
        Started, with its own pages below the path but without Bokeh's.
    prefix
        The path, with a slash at both ends.
    """

    def __init__(self, scheduler: Scheduler, prefix: str) -> None:
        self._scheduler: Any = scheduler
        self._prefix = prefix
        self._nothing = Application()
        self._connected = False

    @classmethod
    def guard(cls, scheduler: Scheduler, prefix: str) -> None:
        """Let a scheduler answer in this way only."""
        server: Any = scheduler
        server.http_server.request_callback = cls(scheduler, prefix)

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        """Return the handler of a request."""
        start = str(request.path)[: len(self._prefix)]
        if not compare_digest(start.encode(), self._prefix.encode()):
            return self._nothing.find_handler(request, **kwargs)
        its = self._scheduler
        if not self._connected:
            self._connected = True
            from distributed.dashboard import scheduler as pages

            from blockseg.runtime.dask.pages.page import run_page

            pages.applications[f"/{EXTENSION}"] = run_page
            named = pages.template_variables(its)["pages"]  # one list a scheduler
            if EXTENSION not in named:
                named.insert(0, EXTENSION)
            pages.connect(
                its.http_application, its.http_server, its, prefix=self._prefix
            )  # type: ignore[no-untyped-call]
        return its.http_application.find_handler(request, **kwargs)


def link_below(prefix: str, template: str) -> str:
    """Return Dask's template of the dashboard's address with the path in it.

    Parameters
    ----------
    prefix
        The path.
    template
        ``distributed.dashboard.link`` of Dask's configuration.
    """
    if not template.endswith(_LINK):
        return template
    return template.removesuffix(_LINK) + prefix.rstrip("/") + _LINK


def free_port(host: str, preferred: int) -> int:
    """Return the preferred port if it is free, else 0 for any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, preferred))
        except OSError:
            return 0
    return preferred
