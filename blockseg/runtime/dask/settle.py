"""Worker-side code of a run, whichever driver asked for it, and how to end that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from blockseg.core.errors import ClusterLostError
from blockseg.core.text import counted, one_line
from blockseg.runtime.dask.actor import running_blocks
from blockseg.runtime.dask.stalls.ask import ask_each
from blockseg.runtime.dask.watch import bounded
from blockseg.runtime.events import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Client

    from blockseg.runtime.dask.cluster import Cluster
    from blockseg.runtime.dask.stalls.ask import Answers
    from blockseg.runtime.events import OnEvent


def plugin_prefix(run_id: str) -> str:
    """Return the common beginning of the names of all plugins of a run, of any driver."""
    return f"blockseg-{run_id}-"


def still_running(
    client: Client, prefix: str, blocks: Iterable[int]
) -> tuple[set[int], frozenset[str]]:
    """Return those blocks that a worker runs just now for plugins named so.

    And the workers that do not answer, of which nobody knows what they run.

    Raises
    ------
    ClusterLostError
        If the scheduler does not answer.
    """
    found: set[int] = set()
    answers = _ask(client, prefix, stop=False)
    for plugins in answers.found.values():
        for running in plugins.values():
            found.update(running)
    return found.intersection(blocks), answers.silent


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
    ClusterLostError
        If blocks still run then, or a worker does not say.
    """
    client, prefix = cluster.client, plugin_prefix(run_id)
    deadline = time.monotonic() + timeout
    told = False
    while True:
        answers = _ask(client, prefix, stop=True)
        plugins = list(answers.found.values())
        names = {name for found in plugins for name in found}
        running = sorted(
            {b for found in plugins for ids in found.values() for b in ids}
        )
        silent = sorted(answers.silent)
        if not running and not silent:
            break
        if not told:
            on_event(Message(_waited_for(running, silent)))
            told = True
        if time.monotonic() > deadline:
            raise ClusterLostError(_too_long(running, silent, timeout))
        time.sleep(0.2)
    for name in names:
        bounded(client, client.unregister_worker_plugin, name, seconds=60.0)


def _waited_for(running: list[int], silent: list[str]) -> str:
    if running:
        return f"waiting for {counted(len(running), 'block')} of an earlier run to end"
    return f"waiting for worker {silent[0]} to say whether it runs blocks of an earlier run"


def _too_long(running: list[int], silent: list[str], seconds: float) -> str:
    if running:
        return (
            f"blocks {running[:5]} of an earlier run still run after {seconds:.0f} s; "
            "restart the workers and run again"
        )
    return (
        f"worker {silent[0]} does not say within {seconds:.0f} s whether it runs blocks of "
        "an earlier run; restart it and run again"
    )


def _ask(client: Client, prefix: str, *, stop: bool) -> Answers:
    try:
        workers = bounded(client, client.nthreads)
        return ask_each(client, workers, running_blocks, prefix, stop=stop)
    except Exception as error:
        message = f"the scheduler does not say what its workers run: {one_line(error)}"
        raise ClusterLostError(message) from error
