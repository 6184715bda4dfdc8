"""The tasks in flight: batches of blocks as Dask futures, sent, awaited, cancelled."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import dask

from blockseg.core.errors import ClusterLostError
from blockseg.core.text import one_line
from blockseg.runtime.dask.actor import BatchResult, run_blocks
from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from distributed import Client, Future

_annotate = dask.annotate  # type: ignore[attr-defined]

_GATHER_SECONDS = 0.005
_FETCH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Task:
    """A batch of blocks on its way."""

    blocks: list[int]
    """Ids, in the order in which they run."""

    future: Future[BatchResult]
    """Future of the task."""

    worker: str
    """Address where it runs; anywhere if empty."""

    sent: float
    """Time at which it was sent, by the monotonic clock, in seconds."""


class TasksInFlight:
    """Tasks by key; one that has ended is forgotten here and on the scheduler.

    Parameters
    ----------
    client
        Of the cluster.
    resources
        What each task takes of a worker's abstract resources.
    """

    def __init__(self, client: Client, resources: Mapping[str, float]) -> None:
        self._client = client
        self._resources = dict(resources)
        self._tasks: dict[str, Task] = {}
        self._of_worker: Counter[str] = Counter()
        self._ended: SimpleQueue[str] = SimpleQueue()
        self._serial = 0
        self._plugin = self._phase = ""
        self._block_name: Callable[[int], str] = str

    def open(self, plugin: str, phase: str, block_name: Callable[[int], str]) -> None:
        """Take tasks of another phase from now on, for the actor of ``plugin``."""
        self._plugin, self._phase, self._block_name = plugin, phase, block_name

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def __getitem__(self, key: str) -> Task:
        return self._tasks[key]

    def of_worker(self, worker: str) -> int:
        """Return the number of tasks that are bound to a worker."""
        return self._of_worker[worker]

    def items(self) -> Sequence[tuple[str, Task]]:
        """Return keys and tasks as they are now."""
        return list(self._tasks.items())

    def send(self, refill: Mapping[str, Sequence[list[int]]]) -> None:
        """Submit batches by the worker that runs them, as one small graph.

        Those under "" go to any worker.

        Raises
        ------
        ClusterLostError
            If the cluster takes no tasks.
        """
        places, batches = {}, []
        for worker, some in refill.items():
            for batch in some:
                places[self._key(batch)] = worker
                batches.append(batch)
        bound = {key: [worker] for key, worker in places.items() if worker}
        options = {"resources": self._resources} if self._resources else {}
        try:
            # One graph for all workers costs half of one for each.
            with _annotate(workers=bound.get) if bound else nullcontext():
                futures = self._client.map(
                    run_blocks,
                    [self._plugin] * len(batches),
                    batches,
                    key=list(places),
                    pure=False,
                    **options,  # type: ignore[arg-type]
                )
        except Exception as error:
            message = f"the cluster takes no more tasks: {one_line(error)}"
            raise ClusterLostError(message) from error
        now = time.monotonic()
        for key, batch, future in zip(places, batches, futures, strict=True):
            self._tasks[key] = Task(batch, future, places[key], now)
            self._of_worker[places[key]] += 1
            future.add_done_callback(self._note_end)  # type: ignore[no-untyped-call]

    def wait(self, timeout: float) -> list[str]:
        """Return the keys of tasks that ended, all that did when the first did."""
        keys: list[str] = []
        with suppress(Empty):
            keys.append(self._ended.get(timeout=timeout))
            time.sleep(_GATHER_SECONDS)
            while True:
                keys.append(self._ended.get_nowait())
        return [key for key in keys if key in self._tasks]

    def results(self, keys: Iterable[str]) -> dict[str, BatchResult]:
        """Fetch and forget the results of finished tasks.

        Those whose worker died with the result are missing, and stay in flight.
        """
        keys = list(keys)
        found = self._fetch(keys)
        # One lost result holds up all that were asked for with it.
        if found is None:
            workers = {self._tasks[key].worker for key in keys}
            found = {}
            for worker in workers if len(workers) > 1 else ():
                its = [key for key in keys if self._tasks[key].worker == worker]
                found.update(self._fetch(its) or {})
        for key in found:
            self._forget(key)
        return found

    def _fetch(self, keys: Sequence[str]) -> dict[str, BatchResult] | None:
        """Return those results that are still there; None if they do not come."""
        if not keys:
            return {}
        try:
            # For a lost result Dask would wait until it is computed again.
            fetched = bounded(
                self._client,
                self._client.gather,
                {key: self._tasks[key].future for key in keys},
                errors="skip",
                seconds=_FETCH_SECONDS,
            )
        except Exception:  # noqa: BLE001 - whatever it was, the blocks run again
            return None
        return {k: r for k, r in fetched.items() if isinstance(r, BatchResult)}

    def recall(self, keys: Iterable[str]) -> list[Task]:
        """Cancel and forget tasks; a worker that runs one does not notice."""
        tasks = [self._forget(key) for key in list(keys)]
        if tasks and self._client.status == "running":
            futures = [task.future for task in tasks]
            with suppress(Exception):
                bounded(self._client, self._client.cancel, futures, force=True)
        return tasks

    def _forget(self, key: str) -> Task:
        task = self._tasks.pop(key)
        self._of_worker[task.worker] -= 1
        if not self._of_worker[task.worker]:
            del self._of_worker[task.worker]
        return task

    def _key(self, batch: list[int]) -> str:
        # Dask takes the words before the first that is no word as the task's kind;
        # the last parts keep a second try apart from the first.
        self._serial += 1
        more = f"-and-{len(batch) - 1}-more" if len(batch) > 1 else ""
        block = self._block_name(batch[0])
        return f"{self._phase}-{block}{more}-{self._plugin[-8:]}-{self._serial}"

    def _note_end(self, future: Future[BatchResult]) -> None:
        self._ended.put(str(future.key))
