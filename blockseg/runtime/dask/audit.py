"""Audit for tasks that nobody does: lost by a worker, or their end was not heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Client, Worker

    from blockseg.runtime.dask.tasks import TasksInFlight


class Audit:
    """Ask the workers, now and then, for tasks that have been in flight for long.

    A message that is lost between a scheduler and workers that die and come back would
    have a run wait for ever. What no worker knows of twice in a row is taken for lost.

    Parameters
    ----------
    client
        Of the cluster.
    seconds
        Age from which on a task is asked for, and time between two questions.
    """

    def __init__(self, client: Client, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._asked = time.monotonic()
        self._missing: set[str] = set()

    def ended(self, tasks: TasksInFlight) -> list[str]:
        """Return the keys of tasks that ended unheard, or that no worker knows of."""
        now = time.monotonic()
        if now < self._asked + self._seconds:
            return []
        self._asked = now
        old = {k: t for k, t in tasks.items() if t.sent < now - self._seconds}
        ended = [key for key, task in old.items() if task.future.status != "pending"]
        missing = self._unknown(old.keys() - set(ended))
        ended += missing & self._missing
        self._missing = missing
        return ended

    def _unknown(self, keys: Iterable[str]) -> set[str]:
        """Return those that no worker has; none if a worker does not answer."""
        unknown = set(keys)
        if unknown:
            try:
                answers = bounded(
                    self._client, self._client.run, _known, sorted(unknown)
                )
            except Exception:  # noqa: BLE001 - a worker died; ask again later
                return set()
            unknown.difference_update(*answers.values())
        return unknown


def _known(keys: list[str], dask_worker: Worker) -> list[str]:
    """Return which of these tasks a worker has."""
    tasks = dask_worker.state.tasks
    return [key for key in keys if key in tasks]
