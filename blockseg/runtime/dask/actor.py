"""Actor of Dask workers, one a process, and the task that uses it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed import Status, WorkerPlugin, get_worker
from distributed.metrics import context_meter
from distributed.protocol.pickle import dumps

from blockseg.core.blocks import noting_advance
from blockseg.core.text import one_line
from blockseg.runtime.attempt import attempt
from blockseg.runtime.dask.stalls.clock import outlive_jumps
from blockseg.runtime.process_name import name_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Nanny, Worker

    from blockseg.core.blocks import BlockReport, ProcessBlock, ProcessorFactory

_TEARDOWN_SECONDS = 20.0

_SENT_SECONDS = 5.0

_TELL_SECONDS = 1.0

_BROKEN = 70  # exit status of a process whose device failed

_NANNY_SECONDS = 30.0

_alive: set[ActorPlugin] = set()
"""Those of this process whose actor is not closed yet; a worker forgets a plugin
that is removed at once, while its last blocks still run."""

_settled = threading.Event()
"""Whether this process would be restarted if it died now."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Reply of one task; no array is ever in it."""

    worker: str
    """Address of the worker."""

    reports: tuple[BlockReport, ...] = ()
    """Reports of the blocks that ran."""

    left: tuple[int, ...] = ()
    """Blocks of the batch that did not run, because the phase ended meanwhile."""

    seconds: float = 0.0
    """Wall time of the blocks that ran."""

    unbuilt: str = ""
    """Why this worker has no actor, in one line; empty if it has one."""


class ActorPlugin(WorkerPlugin):
    """Keeps the actor of one phase in each worker process, also in restarted ones.

    The actor is built in a thread of its own, since an engine may take long to
    compile and a worker that is silent for long counts as dead.

    Parameters
    ----------
    name
        Of the phase of this run; no other driver uses the same.
    factory
        Makes the actor.
    tells
        Whether to tell the driver, once a second at most, how far a block is.
    """

    idempotent = True

    def __init__(
        self, name: str, factory: ProcessorFactory, *, tells: bool = False
    ) -> None:
        self.name = name
        self._factory = factory
        self._tells = tells
        self._told = 0.0
        self._stopped = False

    def setup(self, worker: Worker) -> None:
        """Start to build the actor."""
        self._worker = worker
        name_process(worker.address)
        self._lock = threading.Lock()
        self._running: dict[int, float] = {}
        self._actor: Future[ProcessBlock] = Future()
        self._closed = threading.Event()
        _alive.add(self)
        self._ignore_interrupts_of_our_own_driver()
        if not _settled.is_set():
            self._settling = asyncio.ensure_future(_settle(worker))
        self._outliving = asyncio.ensure_future(outlive_jumps(lambda: [worker]))
        threading.Thread(target=self._build, name=self.name, daemon=True).start()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """Close the actor when its running blocks have ended; wait a bounded time."""
        self.stop()
        self._outliving.cancel()
        # Not sooner: to close an engine in use could crash the process.
        threading.Thread(target=self._close, name=self.name, daemon=True).start()
        await asyncio.to_thread(self._closed.wait, _TEARDOWN_SECONDS)

    def actor(self) -> ProcessBlock:
        """Return the actor, waiting until it is built; raises why it is not."""
        return self._actor.result()

    def running(self) -> dict[int, float]:
        """Return the blocks that run in this process just now, and since how many s."""
        now = time.monotonic()
        with self._lock:
            return {block: now - begun for block, begun in self._running.items()}

    @contextmanager
    def beginning(self, block_id: int) -> Iterator[bool]:
        """Count a block as running inside the context; False if it must not."""
        with self._lock:
            allowed = not self._stopped
            if allowed:
                self._running[block_id] = time.monotonic()
        try:
            yield allowed
        finally:
            with self._lock:
                self._running.pop(block_id, None)

    def tell_advance(self, block_id: int, share: float) -> None:
        """Tell the driver what share of a block is inferred, if it wants to know."""
        now = time.monotonic()
        if self._tells and now - self._told >= _TELL_SECONDS:
            self._told = now
            self._worker.log_event(self.name, {"block": block_id, "share": share})

    def end_process(self, why: str) -> None:
        """End this worker, whose device cannot be used any more; its nanny starts another.

        At once: what failed may hang whoever cleans up after it. What ran here comes back
        to the driver as from any worker that dies.
        """
        self.stop()
        self._send({"broken": self._worker.address, "why": why})
        os._exit(_BROKEN)

    def stop(self) -> None:
        """Begin no other block."""
        with self._lock:
            self._stopped = True

    def is_built(self) -> bool:
        """Return whether there is an actor, so that blocks may have begun."""
        return self._actor.done() and self._actor.exception() is None

    def _build(self) -> None:
        _settled.wait(_NANNY_SECONDS)
        try:
            actor = self._factory()
        except Exception as error:  # noqa: BLE001 - a factory may raise anything
            self._actor.set_exception(error)
            return
        # Lets the driver tell a crash of an engine's start from one in a block; the
        # scheduler has to know it before a block can crash.
        self._send({"ready": self._worker.address})
        self._actor.set_result(actor)

    def _send(self, message: dict[str, str]) -> None:
        """Tell the driver something, and return when the scheduler has it."""
        loop: Any = self._worker.loop  # untyped
        sent = asyncio.run_coroutine_threadsafe(
            _logged(self._worker, self.name, message), loop.asyncio_loop
        )
        with suppress(Exception):  # without a scheduler nobody listens
            sent.result(_SENT_SECONDS)

    def _close(self) -> None:
        try:
            if self._actor.exception() is None:  # waits until it is built
                while self.running():
                    time.sleep(0.02)
                self._actor.result().close()
        finally:
            _alive.discard(self)
            self._closed.set()

    @staticmethod
    def _ignore_interrupts_of_our_own_driver() -> None:
        # Ctrl-C reaches every process of a terminal, and a batch system's SIGTERM every
        # one of a job; the driver decides what ends.
        if (
            os.environ.get("BLOCKSEG_LOCAL_WORKER")
            and threading.current_thread() is threading.main_thread()
        ):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def run_blocks(name: str, blocks: Sequence[int]) -> BatchResult:
    """Run blocks on this worker's actor; the task function.

    Parameters
    ----------
    name
        Of the ActorPlugin.
    blocks
        Ids, done in this order.
    """
    worker = get_worker()
    plugin = worker.plugins.get(name)
    if not isinstance(plugin, ActorPlugin):  # the phase ended, or is about to begin
        return BatchResult(worker.address, left=tuple(blocks))
    try:
        actor = plugin.actor()
    except Exception as error:  # noqa: BLE001 - whatever the factory raised
        return BatchResult(worker.address, left=tuple(blocks), unbuilt=one_line(error))
    reports: list[BlockReport] = []
    start = time.perf_counter()
    for block in blocks:
        with plugin.beginning(block) as allowed:
            if not allowed:
                break
            with noting_advance(partial(plugin.tell_advance, block)):
                report = attempt(actor, block)
            if report.worker != worker.address:
                report = replace(report, worker=worker.address)
            reports.append(report)
        if reports[-1].broken:
            plugin.end_process(reports[-1].error)
    seconds = time.perf_counter() - start
    _tell_dask(reports)
    left = tuple(blocks[len(reports) :])
    return BatchResult(worker.address, tuple(reports), left, seconds)


def running_blocks(prefix: str, *, stop: bool = False) -> dict[str, list[int]]:
    """Return the blocks that run in this process, by the name of their plugin.

    Parameters
    ----------
    prefix
        Plugins whose name begins so.
    stop
        Whether to let these plugins begin no other block.
    """
    found = {}
    for plugin in list(_alive):
        if plugin.name.startswith(prefix):
            if stop:
                plugin.stop()
            found[plugin.name] = sorted(plugin.running())
    return found


def wind_down(name: str) -> tuple[bool, list[int]]:
    """Let a plugin begin no other block; return how far it is.

    Returns
    -------
    bool
        Whether its actor is built: blocks may have begun, and its tasks soon end with
        their reports.
    list of int
        Blocks that run, in ascending order.
    """
    built, running = False, []
    for plugin in list(_alive):
        if plugin.name == name:
            plugin.stop()
            built |= plugin.is_built()
            running += sorted(plugin.running())
    return built, running


def running_seconds(name: str) -> dict[int, float]:
    """Return since how many seconds each block of a plugin has been running here."""
    return {
        block: seconds
        for plugin in list(_alive)
        if plugin.name == name
        for block, seconds in plugin.running().items()
    }


def kill_worker(dask_worker: Nanny) -> None:
    """Kill the worker of a nanny, which then starts another; called in the nanny."""
    pid = dask_worker.pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


async def _logged(worker: Worker, topic: str, message: dict[str, str]) -> None:
    await worker.scheduler.log_event(topic=topic, msg=message)


async def _settle(worker: Worker) -> None:
    """Wait until the nanny knows that its worker is up.

    One whose worker dies sooner takes it for one that cannot start, and gives up.
    """
    question = dumps(_nanny_is_up)  # type: ignore[no-untyped-call]
    with suppress(Exception):
        while worker.nanny:
            answer = await worker.rpc(str(worker.nanny)).run(function=question)
            if answer.get("result", True):
                break
            await asyncio.sleep(0.05)
    _settled.set()


def _nanny_is_up(dask_worker: Nanny) -> bool:
    return dask_worker.process is None or dask_worker.process.status == Status.running


def _tell_dask(reports: Sequence[BlockReport]) -> None:
    """Tell Dask's dashboard what a task's time went into, once for all of its blocks."""
    sums: dict[str, float] = {}
    for report in reports:
        for activity, seconds in report.seconds:
            sums[activity] = sums.get(activity, 0.0) + seconds
    for activity, seconds in sums.items():
        context_meter.digest_metric(activity, seconds, "seconds")
