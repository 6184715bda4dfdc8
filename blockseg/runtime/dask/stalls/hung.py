"""Tasks that do not end, found by the driver's clock and by asking their workers.

A worker runs its tasks in the order in which they were sent, as many at once as it has
threads: so the driver knows how long each has been running, without a message for it.
Whose time is up is asked for by name. A worker that answers tells which block hangs; one
that does not is stopped, or held up by code that lets no other run.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.runtime.dask.actor import running_seconds
from blockseg.runtime.dask.stalls.ask import ask_each
from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from distributed import Client

    from blockseg.runtime.block_limit import BlockLimit
    from blockseg.runtime.dask.tasks import TasksInFlight
    from blockseg.runtime.dask.watch import WorkerWatch

_LOOK_SECONDS = 0.5
_STEP_SECONDS = 5.0
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HungWorker:
    """A worker that has a task whose time is up."""

    worker: str
    """Its address."""

    blocks: frozenset[int]
    """Blocks that hang; where the worker is silent, those that may."""

    silent: bool
    """Whether it does not answer."""

    seconds: float
    """Limit that was passed, in seconds."""


class HungTasks:
    """Clocks of the tasks in flight.

    Parameters
    ----------
    client
        Of the cluster.
    tasks
        Those in flight.
    watch
        Over the workers.
    """

    def __init__(
        self, client: Client, tasks: TasksInFlight, watch: WorkerWatch
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._watch = watch
        self._begun: dict[str, float] = {}
        self._clock = 0.0
        self._looked = time.monotonic()

    def is_running(self, key: str) -> bool:
        """Return whether a task was running when the driver looked last."""
        return key in self._begun

    def find(self, plugin: str, limit: BlockLimit) -> Iterator[HungWorker]:
        """Yield workers that have a task for longer than it may take.

        Parameters
        ----------
        plugin
            Name of the phase's plugin.
        limit
            Time that blocks may take.
        """
        now = time.monotonic()
        if now < self._looked + _LOOK_SECONDS:
            return
        # A driver that was stopped itself, or slept, holds that against nobody.
        self._clock += min(now - self._looked, _STEP_SECONDS)
        self._looked = now
        self._begun = {
            key: self._begun.get(key, self._clock) for key in self._running()
        }
        overdue: dict[str, list[str]] = defaultdict(list)
        for key, begun in self._begun.items():
            task = self._tasks[key]
            if self._clock - begun > limit.of(len(task.blocks)):
                overdue[task.worker or self._worker_of(key)].append(key)
        for worker, keys in overdue.items():
            found = self._ask(worker, keys, plugin, limit)
            if found is not None:
                yield found

    def _running(self) -> Iterator[str]:
        free = {worker: self._watch.threads_of(worker) for worker in self._watch.ready}
        for key, task in self._tasks.items():
            if not task.worker:  # bound to none: whichever came first has it
                if free:
                    yield key
            elif free.get(task.worker, 0) > 0:
                free[task.worker] -= 1
                yield key

    def _worker_of(self, key: str) -> str:
        """Return which worker has a task that was bound to none; empty if none has."""
        try:
            processing: Mapping[str, tuple[str, ...]] = bounded(
                self._client, self._client.processing
            )
        except Exception:  # noqa: BLE001 - whoever watches the scheduler tells
            return ""
        return next((w for w, keys in processing.items() if key in keys), "")

    def _ask(
        self, worker: str, keys: list[str], plugin: str, limit: BlockLimit
    ) -> HungWorker | None:
        blocks = {block for key in keys for block in self._tasks[key].blocks}
        answers = ask_each(
            self._client,
            [worker] if worker else [],
            running_seconds,
            plugin,
            seconds=_ANSWER_SECONDS,
        )
        if worker in answers.silent:
            return HungWorker(worker, frozenset(blocks), True, limit.seconds)
        ages: Mapping[int, float] = answers.found.get(worker, {})
        hung = {b for b in blocks if ages.get(b, 0.0) > limit.seconds}
        if hung:
            return HungWorker(worker, frozenset(hung), False, limit.seconds)
        for key in keys:  # it waits there for others' tasks, or has just ended
            self._begun[key] = self._clock
        return None
