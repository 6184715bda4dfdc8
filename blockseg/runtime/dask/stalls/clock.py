"""Connections of Dask that survive when the system's clock is set back.

Dask holds messages back until a deadline in wall-clock time, and tornado plans its periodic
callbacks by the same clock: after a jump of an hour both would wait for an hour.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from distributed import Client, Nanny, Scheduler, Worker

_LOOK_SECONDS = 1.0

# Deadlines of messages are some milliseconds ahead; none is so far on an even clock.
_JUMP_SECONDS = 0.5


async def outlive_jumps(
    servers: Callable[[], Iterable[Client | Nanny | Scheduler | Worker]],
) -> None:
    """Keep servers and clients of this event loop going when the clock is put back.

    Runs until it is cancelled. A clock that is put forward holds up nothing.

    Parameters
    ----------
    servers
        Gives those whose messages and callbacks wait for the wall clock.
    """
    ahead = time.time() - time.monotonic()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        before, ahead = ahead, time.time() - time.monotonic()
        for server in servers():
            send_what_is_held_back(server)
            if ahead < before - _JUMP_SECONDS:
                plan_callbacks_anew(server)


def send_what_is_held_back(server: Client | Nanny | Scheduler | Worker) -> None:
    """Have connections send whose deadline a clock that was put back has moved away."""
    known: Any = server
    connections = (
        *getattr(known, "stream_comms", {}).values(),
        *getattr(known, "client_comms", {}).values(),
        getattr(known, "batched_stream", None),
        getattr(known, "scheduler_comm", None),
    )
    for connection in connections:
        deadline = getattr(connection, "next_deadline", None)
        if deadline is not None and deadline > time.time() + _JUMP_SECONDS:
            connection.next_deadline = None
            connection.waker.set()


def plan_callbacks_anew(server: Client | Nanny | Scheduler | Worker) -> None:
    """Have periodic callbacks run one period from now."""
    known: Any = server
    callbacks = (
        *getattr(known, "periodic_callbacks", {}).values(),
        *getattr(known, "_periodic_callbacks", {}).values(),
    )
    for callback in callbacks:
        if callback.is_running():
            callback.stop()
            callback.start()
