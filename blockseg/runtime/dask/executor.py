"""Executor of blocks on a Dask cluster: a bounded window of small tasks.

The driver owns the queue and the ledger; Dask runs what it is given and forgets it.
All refills of a moment are one small graph, each task a batch of block ids that an
actor does one after the other. A task is bound to its worker: neighbouring blocks go to
the one that has their chunks in memory. What is known of a task ends with its
result, so neither scheduler nor driver grows with the number of blocks.

When a worker dies, what it had in flight comes back one by one after all other
blocks, at most as many as there are workers, so that each has a worker to itself. A
block during which a worker dies again has failed once.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from itertools import chain
from typing import TYPE_CHECKING
from uuid import uuid4

from distributed import KilledWorker, span
from distributed.comm.core import CommClosedError

from blockseg.core.blocks import BlockReport
from blockseg.core.errors import BackendError, ClusterLostError
from blockseg.core.text import one_line
from blockseg.runtime.block_limit import BlockLimit
from blockseg.runtime.crash_isolation import CrashIsolation
from blockseg.runtime.dask.actor import ActorPlugin, wind_down
from blockseg.runtime.dask.audit import Audit
from blockseg.runtime.dask.settle import plugin_prefix
from blockseg.runtime.dask.stalls.ask import ask_each
from blockseg.runtime.dask.stalls.hung import HungTasks
from blockseg.runtime.dask.stalls.recalled import RecalledBlocks
from blockseg.runtime.dask.tasks import TasksInFlight
from blockseg.runtime.dask.watch import WorkerWatch, bounded
from blockseg.runtime.departures import Departures
from blockseg.runtime.events import Message, WorkerLost, WorkersChanged
from blockseg.runtime.executor import Collected, Room
from blockseg.runtime.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blockseg.core.blocks import ProcessorFactory
    from blockseg.runtime.board import Board
    from blockseg.runtime.dask.actor import BatchResult
    from blockseg.runtime.dask.cluster import Cluster
    from blockseg.runtime.dask.stalls.hung import HungWorker
    from blockseg.runtime.dask.watch import WorkerDied

_SPARE_TASKS = 2
_STILLBORN_LIMIT = 5
_REGISTER_SECONDS = 60.0
_END_SECONDS = 60.0
_ABANDON_SECONDS = 5.0
_MEND_SECONDS = 5.0
_KILL_SECONDS = 60.0


class DaskExecutor:
    """Run blocks on the workers of a cluster.

    Parameters
    ----------
    cluster
        Stays open; closed by who made it.
    run_id
        Names the output: a run that is resumed has the same, another one has not.
    worker_timeout
        Seconds without any worker after which the cluster counts as lost.
    resources
        What each task takes of a worker's abstract resources, ``{"GPU": 0.5}``.
    pace
        How many blocks a task gets.
    audit_seconds
        Age from which on a task is sent again if no worker knows of it.
    block_timeout
        Seconds after which a block hangs and its worker is replaced, 0 for never; from
        the blocks' own times if None.
    board
        Told which blocks are at a worker, and what it did.
    within_blocks
        Whether workers tell, once a second at most, how far they are within a block.
    """

    def __init__(
        self,
        cluster: Cluster,
        run_id: str,
        *,
        worker_timeout: float = 120.0,
        resources: Mapping[str, float] | None = None,
        pace: Pace | None = None,
        audit_seconds: float = 60.0,
        block_timeout: float | None = None,
        board: Board | None = None,
        within_blocks: bool = False,
    ) -> None:
        self._cluster = cluster
        self._client = cluster.client
        self._run_id = run_id
        self._pace = pace or Pace()
        self._watch = WorkerWatch(
            self._client, worker_timeout, devices="GPU" in (resources or {})
        )
        self._tasks = TasksInFlight(self._client, resources or {})
        self._audit = Audit(self._client, audit_seconds)
        self._hung = HungTasks(self._client, self._tasks, self._watch)
        self._block_timeout = block_timeout
        self._limit = BlockLimit(block_timeout)
        self._departures = Departures()
        self._replaced: dict[str, tuple[float, str]] = {}
        self._refill: dict[str, list[list[int]]] = {}
        self._isolation = CrashIsolation()
        self._recalled = RecalledBlocks(self._client, run_id)
        self._unbuilt: dict[str, str] = {}
        self._stillborn = 0
        self._succeeded = False
        self._mended = time.monotonic()
        self._board = board
        self._within_blocks = within_blocks
        self._name = ""
        self._block_name: Callable[[int], str] = str
        self._span = ExitStack()

    def begin(
        self, phase: str, factory: ProcessorFactory, name: Callable[[int], str]
    ) -> None:
        """Put an actor into each worker, now and whenever one joins or restarts."""
        # A plugin that a dead driver of the same run left must not pass for ours.
        self._name = f"{plugin_prefix(self._run_id)}{phase}-{uuid4().hex[:8]}"
        self._succeeded, self._stillborn = False, 0
        self._limit, self._departures = BlockLimit(self._block_timeout), Departures()
        self._block_name = name
        self._unbuilt.clear()
        self._tasks.open(self._name, phase, name)
        self._watch.start(self._name)
        self._register(ActorPlugin(self._name, factory, tells=self._within_blocks))
        # Without a span of ours Dask makes a new one whenever it runs idle.
        self._span.enter_context(span(phase))

    def room(self, waiting: int) -> Room | None:
        """Return the next batch's size and worker; None if enough tasks are in flight."""
        if not waiting:
            return None
        # One that dies takes only what was its own, and a suspect is there alone.
        alone = bool(self._isolation) and self._suspects_in_flight()
        if alone and self._in_flight() >= self._watch.workers:
            return None
        able = self._watch.addresses - self._unbuilt.keys() - self._replaced.keys()
        if not able:  # for the first that comes
            return Room(1) if self._in_flight() < _SPARE_TASKS else None
        room, worker = max((self._room_of(worker, alone), worker) for worker in able)
        if room < 1:
            return None
        return Room(self._pace.batch(waiting, self._watch.threads), worker)

    def submit(self, blocks: list[int], worker: str = "") -> None:
        """Take a batch for the next refill of a worker."""
        self._refill.setdefault(worker, []).append(blocks)
        if self._board is not None:
            self._board.handed_out(blocks)

    def collect(self, timeout: float) -> Collected:
        """Send the refill and wait for results."""
        refill, self._refill = self._refill, {}
        if refill:
            self._tasks.send(refill)
        harvest = Collected()
        ended = self._tasks.wait(timeout)
        ended = list(dict.fromkeys(ended + self._audit.ended(self._tasks)))
        deaths, changed = self._watch.poll()
        for death in deaths:  # first: they explain why tasks ended
            self._mourn(death, harvest)
        self._take(ended, harvest)
        if changed:
            watch = self._watch
            harvest.events.append(WorkersChanged(len(watch.addresses), watch.threads))
            self._recall_stranded()
        if (used := self._watch.devices()) is not None:
            harvest.events.append(used)
        harvest.events.extend(self._watch.advanced())
        for hung in self._hung.find(self._name, self._limit):
            self._replace(hung)
        returned, reports = self._recalled.come_back()
        harvest.returned.extend(returned)
        harvest.reports.extend(reports)
        if text := self._watch.check():
            harvest.events.append(Message(text))
        self._check_replaced()
        if time.monotonic() - self._mended > _MEND_SECONDS:
            self._mended = time.monotonic()
            self._cluster.mend()
        if self._unbuilt and self._watch.addresses <= self._unbuilt.keys():
            kind = ClusterLostError if self._succeeded else BackendError
            raise kind(next(iter(self._unbuilt.values())))
        return harvest

    def wind_down(self) -> None:
        """Take back what no worker has begun; blocks that run come to their end."""
        built, begun = set(self._watch.ready), set[int]()
        with suppress(Exception):  # then they run on, and the driver waits for more
            workers = self._watch.addresses
            answers = ask_each(self._client, workers, wind_down, self._name)
            # Workers know it sooner than their messages have reached us.
            built -= answers.found.keys()
            for worker, (is_built, running) in answers.found.items():
                built.update([worker] * is_built)
                begun.update(running)
        for key, task in self._tasks.items():
            ended = task.future.status != "pending"
            if task.worker not in built and not ended and begun.isdisjoint(task.blocks):
                self._recall(key)

    def end(self, *, at_once: bool = False) -> None:
        """Cancel what is in flight and close the actors; never raises."""
        with suppress(Exception):
            self._span.close()
        if at_once:
            self._cluster.abandon()
        abandoned = self._tasks.recall(key for key, _ in self._tasks.items())
        self._refill.clear()
        self._recalled.clear()
        with suppress(Exception):
            self._watch.stop()
        if self._client.status == "running" and self._name:
            # The actors are closed when their blocks have ended.
            seconds = _ABANDON_SECONDS if abandoned else _END_SECONDS
            unregister = self._client.unregister_worker_plugin
            with suppress(Exception):
                bounded(self._client, unregister, self._name, seconds=seconds)

    def _register(self, plugin: ActorPlugin) -> None:
        register, tries = self._client.register_plugin, 3
        while tries:
            tries -= 1
            try:
                bounded(self._client, register, plugin, seconds=_REGISTER_SECONDS)
            except Exception as error:
                # A worker that dies just then takes the connection with it.
                if not (isinstance(error, CommClosedError) and tries):
                    message = f"the workers cannot prepare: {one_line(error)}"
                    raise ClusterLostError(message) from error
            else:
                return

    def _in_flight(self) -> int:
        refill = sum(map(len, self._refill.values()))
        return len(self._tasks) + refill + len(self._recalled)

    def _room_of(self, worker: str, alone: bool) -> int:
        """Return the number of tasks that a worker still needs to stay busy."""
        wanted = 1 if alone else self._pace.window(self._watch.threads_of(worker))
        has = self._tasks.of_worker(worker) + len(self._refill.get(worker, ()))
        return wanted - has

    def _take(self, ended: list[str], harvest: Collected) -> None:
        finished = []
        for key in ended:
            if key not in self._tasks:
                continue  # its worker died
            status = self._tasks[key].future.status
            if status == "finished":
                finished.append(key)
            elif status == "error":
                self._task_failed(key, harvest)
            else:  # cancelled by somebody else, or lost
                self._recall(key)
        sent = {key: self._tasks[key].sent for key in finished}
        results = self._tasks.results(finished)
        now = time.monotonic()
        for key in finished:
            if key in results:
                self._result(results[key], harvest)
                self._show(results[key], now - sent[key])
            else:
                self._recall(key)

    def _result(self, result: BatchResult, harvest: Collected) -> None:
        if result.unbuilt and result.worker not in self._unbuilt:
            self._unbuilt[result.worker] = result.unbuilt
            text = f"worker {result.worker} is left out: {result.unbuilt}"
            harvest.events.append(Message(text))
        if result.reports:
            self._succeeded = True
            self._stillborn = 0
            self._pace.saw(len(result.reports), result.seconds)
            self._limit.saw(result.reports, result.seconds)
            self._departures.done(report.block_id for report in result.reports)
        self._isolation.cleared(report.block_id for report in result.reports)
        harvest.reports.extend(result.reports)
        harvest.returned.extend(result.left)

    def _show(self, result: BatchResult, age: float) -> None:
        if self._board is not None:
            queued = max(age - result.seconds, 0.0)
            self._board.worked(result.worker, result.reports, queued)
            self._board.put_back(result.left)

    def _task_failed(self, key: str, harvest: Collected) -> None:
        """Take a task that ended otherwise than by returning."""
        task = self._tasks[key]
        error = task.future.exception()  # type: ignore[no-untyped-call]
        if isinstance(error, KilledWorker):
            self._recall(key, getattr(error.last_worker, "address", "unknown"))
            return
        if not self._succeeded:
            message = f"the workers cannot run blocks: {one_line(error)}"
            raise ClusterLostError(message) from error
        self._tasks.recall([key])
        text = f"its task failed: {one_line(error)}"
        harvest.reports.extend(BlockReport(block, error=text) for block in task.blocks)

    def _mourn(self, death: WorkerDied, harvest: Collected) -> None:
        victims = [key for key in death.keys if key in self._tasks]
        blocks = sum(len(self._tasks[key].blocks) for key in victims)
        _, replaced = self._replaced.pop(death.worker, (0.0, ""))
        harvest.events.append(WorkerLost(death.worker, blocks, death.why or replaced))
        for key in victims:
            self._recall(key, death.worker if death.ready else "")
        self._stillborn += 0 if death.ready and not death.why else 1
        if self._stillborn >= _STILLBORN_LIMIT:
            message = (
                f"{self._stillborn} workers ended one after the other without a block "
                f"done: {death.why}"
                if death.why
                else f"{self._stillborn} workers died while they built their engine: "
                "out of memory, or a crash in native code"
            )
            raise ClusterLostError(message)

    def _suspects_in_flight(self) -> bool:
        batches = [task.blocks for _, task in self._tasks.items()]
        batches += chain.from_iterable(self._refill.values())
        return any(self._isolation.covers(blocks) for blocks in batches)

    def _recall(self, key: str, dead_worker: str = "") -> None:
        """Cancel a task; its blocks come back once no worker runs them."""
        for task in self._tasks.recall([key]):
            verdict = None
            if dead_worker:
                verdict = self._isolation.died(dead_worker, task.blocks)
            self._recalled.add(task.blocks, task.worker, verdict)

    def _recall_stranded(self) -> None:
        """Take back tasks that are bound to workers which left in good order."""
        here = self._watch.addresses
        left: dict[str, list[int]] = {}
        for key, task in self._tasks.items():
            if task.worker and task.worker not in here:
                running = task.blocks if self._hung.is_running(key) else []
                left.setdefault(task.worker, []).extend(running)
                self._recall(key)
        for blocks in left.values():
            for report in self._departures.left(len(here), blocks):
                self._recalled.blame(report)

    def _replace(self, hung: HungWorker) -> None:
        """Take all from a worker that hangs, and kill it: another takes its place."""
        worker, within = hung.worker, f"within {hung.seconds:.0f} s"
        first = self._block_name(min(hung.blocks))
        what = "it does not answer" if hung.silent else f"block {first} hangs"
        how = f"did not end this block, alone, {within} (--block-timeout): replaced"
        for key, task in self._tasks.items():
            if task.worker != worker and hung.blocks.isdisjoint(task.blocks):
                continue
            self._recall(key)
            # Others may only have waited for an engine that one of them holds up.
            for block in hung.blocks.intersection(task.blocks):
                verdict = self._isolation.died(worker, [block], how)
                if verdict is not None:
                    self._recalled.blame(verdict)
        self._replaced[worker] = (time.monotonic(), f"{what}: no end {within}")
        if not self._cluster.kill(worker):
            message = (
                f"worker {worker} hangs ({what}) and has no nanny that could replace it; "
                "end it, and run the same command again"
            )
            raise ClusterLostError(message)

    def _check_replaced(self) -> None:
        """Give up where a worker cannot even be killed: storage that does not answer."""
        for worker, (since, why) in self._replaced.items():
            if worker not in self._watch.addresses:
                continue  # its death is yet to be told
            if time.monotonic() > since + _KILL_SECONDS:
                message = (
                    f"worker {worker} was killed ({why}) and is still there: its machine "
                    "waits for storage that does not answer; see to that, and run the "
                    "same command again"
                )
                raise ClusterLostError(message)
