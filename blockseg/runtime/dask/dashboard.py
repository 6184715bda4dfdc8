"""Dashboard of our own scheduler, loaded when somebody looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado.web import Application

from blockseg.runtime.board import EXTENSION

if TYPE_CHECKING:
    from distributed import Scheduler


class LazyDashboard(Application):
    """Connects Dask's dashboard to the scheduler's pages at the first request for it.

    Bokeh takes half a second to load, which a run that nobody watches need not wait for.
    The page of the run comes with it, under ``/blockseg`` and in every page's head.

    Parameters
    ----------
    scheduler
        Started, with pages but without its dashboard.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler: Any = scheduler
        self._connected = False

    def find_handler(self, request: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Leave the request to the dashboard, which is asked after this one."""
        if not self._connected:
            self._connected = True
            from distributed.dashboard import scheduler as dashboard

            from blockseg.runtime.dask.page import run_page

            its = self._scheduler
            dashboard.applications[f"/{EXTENSION}"] = run_page
            pages = dashboard.template_variables(its)["pages"]  # one list a scheduler
            if EXTENSION not in pages:
                pages.insert(0, EXTENSION)
            dashboard.connect(its.http_application, its.http_server, its)  # type: ignore[no-untyped-call]
