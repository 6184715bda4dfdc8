"""The board of a run on a scheduler of another process: what changed, once a second.

The driver keeps the board; the scheduler has a copy, which its page and Prometheus read.
What travels are numbers and words that msgpack knows, so that no scheduler needs to
unpickle it: of blocks only those that changed since.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.text import one_line
from blockseg.runtime.board import Board, Failed, WorkerSums
from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Client

TAKE = "blockseg_board"
"""Name under which a scheduler takes what changed."""

PRELOAD = "blockseg.runtime.dask.pages.plugin"
"""Module that a scheduler loads at its start to have the page."""

_EVERY = 1.0
_SEND_SECONDS = 10.0
_TRIES = 3
_SAME = ("out", "engine", "phase", "total", "changes")


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
    from blockseg.runtime.dask.pages.plugin import PagePlugin

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


def changes_to_plain(board: Board, *, whole: bool) -> dict[str, Any]:
    """Return what changed on a board, or all of it, and forget that it did.

    Parameters
    ----------
    board
        Of the driver.
    whole
        Whether a phase has begun, so that all blocks are others.
    """
    touched = set()
    while board.touched:  # the driver adds to it meanwhile, and what it adds is new
        touched.add(board.touched.popleft())
    shape = board.states.shape
    flat = board.states.reshape(-1)
    ids = np.array(sorted(touched), int)
    ids = ids[ids < flat.size]
    if whole:
        ids = np.flatnonzero(np.isfinite(board.metrics["seconds"]))
    now = board.clock()
    return {
        **{name: getattr(board, name) for name in _SAME},
        "shape": list(shape) if whole else None,
        "ids": ids.astype("<i8").tobytes(),
        "states": (flat if whole else flat[ids]).tobytes(),
        "metrics": {
            name: values[ids].astype("<f4").tobytes()
            for name, values in board.metrics.items()
        },
        "counts": [[*key, n] for key, n in list(board.counts.items())],
        "voxels": list(map(list, board.voxels.items())),
        "seconds": [[*key, n] for key, n in list(board.seconds.items())],
        "workers": [
            [name, w.blocks, dict(w.seconds), w.device_bytes, w.lost]
            for name, w in list(board.workers.items())
        ],
        "failures": [[f.block, f.attempts, f.error] for f in list(board.failures)],
        # Clocks of two machines have nothing in common but their pace.
        "marks": [[now - t, b, v] for t, b, v in list(board.marks)],
        "history": [[now - t, b, v] for t, b, v in list(board.history)],
    }


def changes_from(
    plain: dict[str, Any], board: Board, clock: Callable[[], float] = time.monotonic
) -> None:
    """Enter what :func:`changes_to_plain` returned on a copy of the board.

    Parameters
    ----------
    plain
        Changes.
    board
        Copy of it.
    clock
        The copy's.
    """
    board.clock = clock
    ids = np.frombuffer(plain["ids"], "<i8")
    states = np.frombuffer(plain["states"], np.uint8)
    if plain["shape"] is not None:
        board.states = states.reshape(plain["shape"]).copy()
        board.metrics = {
            name: np.full(states.size, np.nan, np.float32) for name in plain["metrics"]
        }
    else:
        board.states.reshape(-1)[ids] = states
    for name, values in plain["metrics"].items():
        board.metrics[name][ids] = np.frombuffer(values, "<f4")
    for name in _SAME:
        setattr(board, name, plain[name])
    board.counts = Counter({(a, b): n for a, b, n in plain["counts"]})
    board.voxels = Counter(dict(plain["voxels"]))
    board.seconds = defaultdict(float, {(a, b): n for a, b, n in plain["seconds"]})
    board.workers = {
        name: WorkerSums(blocks, defaultdict(float, seconds), device, lost)
        for name, blocks, seconds, device, lost in plain["workers"]
    }
    board.failures = deque(
        (Failed(*one) for one in plain["failures"]), board.failures.maxlen
    )
    now = clock()
    board.marks = deque(
        ((now - age, blocks, voxels) for age, blocks, voxels in plain["marks"]),
        board.marks.maxlen,
    )
    board.history = [(now - age, b, v) for age, b, v in plain["history"]]
