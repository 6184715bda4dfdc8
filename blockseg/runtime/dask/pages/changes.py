"""Changes of a board, as values that msgpack knows, and a copy that takes them.

No scheduler needs to unpickle anything; of blocks only those travel that changed since.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.runtime.board import Failed, WorkerSums

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.runtime.board import Board

TAKE = "blockseg_board"
"""Name under which a scheduler takes what changed."""

_SAME = ("out", "engine", "phase", "total", "changes")


def changes_to_plain(board: Board, *, whole: bool) -> dict[str, Any]:
    """Return the changes of a board since the last call, or all of it.

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
