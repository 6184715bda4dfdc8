"""Worker-side code of a run, whichever driver asked for it, and how to end that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from blockseg.core.errors import ClusterError
from blockseg.core.text import one_line
from blockseg.runtime.dask.actor import running_blocks
from blockseg.runtime.dask.watch import bounded
from blockseg.runtime.events import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Client

    from blockseg.runtime.dask.cluster import Cluster
    from blockseg.runtime.events import OnEvent


def plugin_prefix(run_id: str) -> str:
    """Return how the names of all plugins of a run begin, whichever driver it has."""
    return f"blockseg-{run_id}-"


def still_running(client: Client, prefix: str, blocks: Iterable[int]) -> set[int]:
    """Return those blocks that a worker runs just now for plugins named so.

    Raises
    ------
    ClusterError
        If the workers do not answer.
    """
    found: set[int] = set()
    for plugins in _ask(client, prefix, stop=False).values():
        for running in plugins.values():
            found.update(running)
    return found.intersection(blocks)


def settle_predecessor(
    cluster: Cluster,
    run_id: str,
    on_event: OnEvent,
    *,
    timeout: float = 600.0,
) -> None:
    """Wait until no worker writes for a driver of the same run that is dead.

    An external cluster outlives a driver. What it had queued is gone with it, but a
    block that runs cannot be taken back: two writers of one shard would follow.

    Parameters
    ----------
    cluster
        Where the dead driver ran too.
    run_id
        Of the run, the same as the dead driver had.
    on_event
        Told once if there is something to wait for.
    timeout
        Seconds to wait at most.

    Raises
    ------
    ClusterError
        If blocks still run then.
    """
    client, prefix = cluster.client, plugin_prefix(run_id)
    deadline = time.monotonic() + timeout
    told = False
    while True:
        answers = _ask(client, prefix, stop=True)
        names = {name for plugins in answers.values() for name in plugins}
        running = sorted(
            {b for p in answers.values() for ids in p.values() for b in ids}
        )
        if not running:
            break
        if not told:
            on_event(
                Message(f"waiting for {len(running)} blocks of an earlier run to end")
            )
            told = True
        if time.monotonic() > deadline:
            message = (
                f"blocks {running[:5]} of an earlier run still run after "
                f"{timeout:.0f} s; restart the workers and run again"
            )
            raise ClusterError(message)
        time.sleep(0.2)
    for name in names:
        bounded(client, client.unregister_worker_plugin, name, seconds=60.0)


def _ask(client: Client, prefix: str, *, stop: bool) -> dict[str, dict[str, list[int]]]:
    try:
        answers: dict[str, dict[str, list[int]]] = bounded(
            client,
            client.run,
            running_blocks,
            prefix=prefix,
            stop=stop,
            on_error="ignore",
        )
    except Exception as error:
        message = f"the workers do not say what they run: {one_line(error)}"
        raise ClusterError(message) from error
    return {worker: answer for worker, answer in answers.items() if answer}
