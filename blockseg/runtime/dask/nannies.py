"""Nannies, which restart a worker when it dies, and how to make one do so."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from blockseg.runtime.dask.actor import kill_worker
from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Client, SpecCluster


def nannies_of(ours: SpecCluster | None) -> list[Any]:
    """Return the nannies of our own cluster; none of anybody else's."""
    return [] if ours is None else list(ours.workers.values())


def killed(nanny: Any) -> bool:
    """Kill the worker of one of our nannies, even if it is stopped; False if there is none."""
    with suppress(psutil.Error, TypeError):
        psutil.Process(nanny.pid).kill()
        return True
    return False


def killed_worker(client: Client, nannies: Iterable[Any], worker: str) -> bool:
    """Kill a worker by its address, whatever it does.

    Parameters
    ----------
    client
        Of the cluster.
    nannies
        Those of ours.
    worker
        Its address.

    Returns
    -------
    bool
        False if it has no nanny, or that does not answer.
    """
    for nanny in nannies:
        if nanny.worker_address == worker:
            return killed(nanny)
    try:
        answers = bounded(client, client.run, kill_worker, workers=[worker], nanny=True)
    except Exception:  # noqa: BLE001 - the caller says what it means
        return False
    return bool(answers)
