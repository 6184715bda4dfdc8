"""Watch over a cluster's workers: they come, get ready, die, or all are lost."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import ClusterLostError
from blockseg.runtime.events import BlockAdvanced, DevicesUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from distributed import Client

_REFRESH_SECONDS = 10.0
_RPC_SECONDS = 15.0
_TELL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker ended without notice."""

    worker: str
    """Its address."""

    keys: frozenset[str]
    """Tasks that it had, running or next."""

    ready: bool
    """Whether it had built its actor."""

    why: str = ""
    """Reason of a worker that ended itself, in one line."""


class WorkerWatch:
    """News of a scheduler's workers, kept for the driver's thread.

    Parameters
    ----------
    client
        Of the cluster.
    timeout
        Seconds without any worker after which the cluster counts as lost.
    devices
        Whether to ask how busy the workers' GPUs are.
    """

    def __init__(
        self, client: Client, timeout: float, *, devices: bool = False
    ) -> None:
        self._client = client
        self._has_devices = devices
        self._timeout = timeout
        self._messages: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self._topic = ""
        self._threads: dict[str, int] = {}
        self._ready: set[str] = set()
        self._broken: dict[str, str] = {}
        self._deaths: list[WorkerDied] = []
        self._asked = float("-inf")
        self._devices: DevicesUsed | None = None
        self._advanced: dict[int, float] = {}
        self._alone_since: float | None = None
        self._told = False

    def start(self, topic: str) -> None:
        """Begin to watch; actors tell under ``topic`` that they are ready."""
        self._topic = topic
        for name in ("all", topic):
            self._client.subscribe_topic(name, self._hear)  # type: ignore[no-untyped-call]
        self._refresh()

    def stop(self) -> None:
        """Hear no more."""
        if self._client.status == "running":
            for name in ("all", self._topic):
                self._client.unsubscribe_topic(name)  # type: ignore[no-untyped-call]
        self._ready.clear()
        self._broken.clear()
        self._advanced.clear()
        self._deaths.clear()

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses of the present workers."""
        return frozenset(self._threads)

    @property
    def ready(self) -> frozenset[str]:
        """Addresses of the workers that have built their actor."""
        return frozenset(self._ready & self._threads.keys())

    def threads_of(self, worker: str) -> int:
        """Task threads of one worker, 0 if it is gone."""
        return self._threads.get(worker, 0)

    @property
    def workers(self) -> int:
        """Number of workers, at least 1: what waits is for the next to come."""
        return max(1, len(self._threads))

    @property
    def threads(self) -> int:
        """Task threads of all workers, at least 1."""
        return max(1, sum(self._threads.values()))

    def poll(self) -> tuple[list[WorkerDied], bool]:
        """Return the deaths since last time, and whether the workers changed."""
        moved = False
        while True:
            try:
                message = self._messages.get_nowait()
            except Empty:
                break
            moved |= self._note(message)
        before = dict(self._threads)
        if moved or time.monotonic() > self._asked + _REFRESH_SECONDS:
            self._refresh()
        deaths, self._deaths = self._deaths, []
        return deaths, self._threads != before

    def devices(self) -> DevicesUsed | None:
        """Return the load of the GPUs, once for each time that it was asked."""
        found, self._devices = self._devices, None
        return found

    def advanced(self) -> list[BlockAdvanced]:
        """Return the progress of the blocks that reported any since the last call."""
        found, self._advanced = self._advanced, {}
        return [BlockAdvanced(block, share) for block, share in found.items()]

    def check(self) -> str:
        """Return the message about a cluster without workers, once each time.

        Raises
        ------
        ClusterLostError
            If the scheduler is gone, or all workers for long.
        """
        if self._client.status != "running":
            message = (
                "the connection to the Dask scheduler was lost; all that was done is "
                "in the ledger, run the same command again"
            )
            raise ClusterLostError(message)
        if self._threads:
            self._alone_since, self._told = None, False
            return ""
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        alone = now - self._alone_since
        if alone > self._timeout:
            message = (
                f"no Dask worker for {self._timeout:.0f} s; start workers and run the "
                "same command again (--worker-timeout waits longer)"
            )
            raise ClusterLostError(message)
        if self._told or alone < _TELL_SECONDS:
            return ""
        self._told = True
        return (
            "waiting for workers: the scheduler has none; the run gives up after "
            f"{self._timeout:.0f} s without one (--worker-timeout)"
        )

    def _hear(self, event: tuple[float, Any]) -> None:
        # In the event loop's thread: only put it by.
        if isinstance(event[1], dict):
            self._messages.put(event[1])

    def _note(self, message: Mapping[str, Any]) -> bool:
        if "ready" in message:
            self._ready.add(str(message["ready"]))
            return False
        if "share" in message:
            self._advanced[int(message["block"])] = float(message["share"])
            return False
        if "broken" in message:
            self._broken[str(message["broken"])] = str(message.get("why", ""))
            return False
        action = message.get("action")
        if action == "remove-worker" and not message.get("expected"):
            worker = str(message["worker"])
            keys = frozenset(str(key) for key in message["processing-tasks"])
            why = self._broken.pop(worker, "")
            self._deaths.append(WorkerDied(worker, keys, worker in self._ready, why))
        return action in {"add-worker", "remove-worker", "retire-workers"}

    def _refresh(self) -> None:
        self._asked = time.monotonic()
        try:
            found = bounded(self._client, self._client.nthreads)
        except Exception:  # noqa: BLE001 - check() finds out what it means
            return
        self._threads = dict(found)
        self._ready &= self._threads.keys()
        if self._has_devices:
            with suppress(Exception):  # a display that lacks a number harms nobody
                info = bounded(self._client, self._client.scheduler_info, n_workers=-1)
                self._devices = devices_used(info["workers"].values())


def devices_used(workers: Iterable[Mapping[str, Any]]) -> DevicesUsed | None:
    """Add up the GPUs of workers, each as the scheduler describes it.

    Dask's workers tell where ``pynvml`` is installed with them; None if none does.
    """
    told = [
        (found["metrics"]["gpu"], found.get("gpu") or {})
        for found in workers
        if (found.get("metrics") or {}).get("gpu")
    ]
    if not told:
        return None
    return DevicesUsed(
        devices=len(told),
        utilization=sum(_number(now, "utilization") for now, _ in told)
        / (100 * len(told)),
        memory=int(sum(_number(now, "memory-used") for now, _ in told)),
        memory_total=int(sum(_number(card, "memory-total") for _, card in told)),
    )


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def bounded(
    client: Client,
    method: Callable[..., Any],
    *args: object,
    seconds: float = _RPC_SECONDS,
    **kwargs: object,
) -> Any:
    """Call a client's method, and wait no longer than some seconds for it.

    Raises
    ------
    TimeoutError
        If it takes longer.
    """
    # Called inside the client's own event loop its methods return a coroutine.
    return client.sync(  # type: ignore[no-untyped-call]
        method, *args, callback_timeout=seconds, **kwargs
    )
