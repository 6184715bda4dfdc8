"""The board of a run on a scheduler of another process: what changed, once a second.

The driver keeps the board; the scheduler has a copy, which its page and Prometheus read.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from blockseg.core.text import one_line
from blockseg.runtime.dask.pages.changes import TAKE, changes_to_plain
from blockseg.runtime.dask.pages.plugin import PagePlugin
from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client

    from blockseg.runtime.board import Board

PRELOAD = "blockseg.runtime.dask.pages.plugin"
"""Module that a scheduler loads at its start to have the page."""

_EVERY = 1.0
_SEND_SECONDS = 10.0
_TRIES = 3


class Relay:
    """Sends what changes on a board to the scheduler, until it is closed.

    Parameters
    ----------
    client
        Connected to the scheduler.
    board
        Of the run.
    """

    def __init__(self, client: Client, board: Board) -> None:
        self._client, self._board = client, board
        board.touched = deque()
        self._sent, self._begun = -1, ""
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="blockseg-board", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Send the last changes and stop; never raises."""
        self._ended.set()
        self._thread.join(2 * _SEND_SECONDS)

    def _run(self) -> None:
        failed = 0
        while failed < _TRIES:
            ended = self._ended.wait(_EVERY)
            try:
                self._send()
            # Whatever happens to a page, the run goes on without it.
            except Exception:  # noqa: BLE001
                failed += 1
                self._begun = ""
            if ended:
                return
        self._board.touched = None

    def _send(self) -> None:
        board = self._board
        if board.changes == self._sent or not board.states.size:
            return
        self._sent, phase = board.changes, board.phase
        update = changes_to_plain(board, whole=self._begun != phase)
        self._begun = phase
        _told(self._client, update)


def relayed(client: Client, board: Board) -> tuple[Relay | None, str]:
    """Put the page of a run on somebody else's scheduler, and keep it up to date.

    Returns
    -------
    Relay, str
        What keeps it up to date, None where there is no dashboard; and why there is no
        page, in a line, empty where there is one.
    """
    why = ""
    try:
        bounded(client, client.register_plugin, PagePlugin(), seconds=_SEND_SECONDS)
    except Exception as error:  # noqa: BLE001 - a page is not worth a run
        why = one_line(error)  # it may have it all the same, from its start
    place = _told(client, {})
    if place is None:
        return None, (
            f"the dashboard of this scheduler shows no blocks ({why}): install blockseg "
            f"where it runs, or start it with dask scheduler --preload {PRELOAD}"
        )
    return (Relay(client, board) if place else None), ""


def _told(client: Client, update: Mapping[str, object]) -> str | None:
    """Tell the scheduler what changed, and return where its dashboard is, if it has one.

    None where it knows of no boards.
    """

    async def tell() -> object:
        scheduler: Any = client.scheduler
        return await getattr(scheduler, TAKE)(update=dict(update))

    # What a scheduler has never heard of it answers with nothing, and no error.
    answer = bounded(client, tell, seconds=_SEND_SECONDS)
    return str(answer["place"]) if isinstance(answer, dict) else None
