"""The page of a run on a scheduler that somebody else runs.

The driver sends :class:`PagePlugin`, which the scheduler can take where blockseg is
installed beside it; where that is not wanted, ``dask scheduler --preload
blockseg.runtime.dask.pages.plugin`` does the same at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed import SchedulerPlugin
from tornado.ioloop import IOLoop

from blockseg.runtime.board import EXTENSION, Board
from blockseg.runtime.dask.pages.changes import TAKE, changes_from
from blockseg.runtime.dask.pages.prometheus import collect_from

if TYPE_CHECKING:
    from distributed import Scheduler


class PagePlugin(SchedulerPlugin):  # type: ignore[misc,unused-ignore]
    """Puts the page on a scheduler's dashboard, once, and takes what its runs send."""

    name = "blockseg-page"

    async def start(self, scheduler: Scheduler) -> None:
        """Put it there."""
        install(scheduler)


def dask_setup(scheduler: Scheduler) -> None:
    """Put the page on a scheduler that is started with ``--preload``."""
    install(scheduler)


def install(scheduler: Scheduler) -> None:
    """Put the page of runs on a scheduler's dashboard, if it has one; once."""
    its: Any = scheduler
    if TAKE in its.handlers:
        return
    its.extensions[EXTENSION] = Board()

    async def take(update: dict[str, Any]) -> dict[str, str]:
        board = its.extensions[EXTENSION]
        if update:
            changes_from(update, board)
            collect_from(board)
        return {"place": _prefix(its)}

    its.handlers[TAKE] = take
    _add_page(its)


def _add_page(its: Any) -> None:
    prefix = _prefix(its)
    if not prefix:
        return
    from distributed.dashboard import scheduler as pages
    from distributed.dashboard.core import BokehApplication

    from blockseg.runtime.dask.pages.page import run_page

    named = pages.template_variables(its)
    if EXTENSION not in named["pages"]:  # one list a scheduler
        named["pages"].insert(0, EXTENSION)
    application: Any = BokehApplication(  # type: ignore[no-untyped-call]
        {f"/{EXTENSION}": run_page}, its, prefix=prefix, template_variables=named
    )
    its.http_application.add_application(application)
    application.initialize(IOLoop.current())
    application.start()


def _prefix(its: Any) -> str:
    """Return the path of the scheduler's dashboard; empty where it has none."""
    for application in getattr(its, "http_application", its).applications:
        prefix = getattr(application, "prefix", None)
        if prefix is not None:
            return f"/{prefix.strip('/')}/".replace("//", "/")
    return ""
