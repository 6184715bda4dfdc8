"""The loop of a run: hand out blocks, settle reports, commit, tell.

All that is known of a block passes through here in one thread, in this order: its
report, the ledger's transaction, the event. A crash between any two steps costs at
most that the block is done again, which writes the same bytes.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from blockseg.core.blocks import BlockState
from blockseg.core.errors import NoSpaceError, OutputGoneError
from blockseg.runtime.events import (
    BlockAdvanced,
    BlockDone,
    BlockFailed,
    BlockRetried,
    Message,
    PhaseDone,
    PhaseStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from blockseg.core.blocks import BlockQueue, BlockReport, ProcessorFactory
    from blockseg.runtime.events import Event, OnEvent
    from blockseg.runtime.executor import Executor
    from blockseg.runtime.ledger.ledger import Ledger

_POLL_SECONDS = 0.5
"""Delay until an interrupt is noticed."""

_WINDING_DOWN = (
    "interrupted: blocks that have begun are finished; a second interrupt stops at once"
)


def drive(
    executor: Executor,
    queue: BlockQueue,
    ledger: Ledger,
    phase: str,
    factory: ProcessorFactory,
    on_event: OnEvent,
    *,
    name: Callable[[int], str] = str,
    patience: float = float("inf"),
) -> PhaseDone:
    """Do a phase's blocks until none is left, or until it must stop.

    Parameters
    ----------
    executor
        Where blocks run.
    queue
        Which blocks; all of them pending in the ledger.
    ledger
        Takes each block when it is written or quarantined.
    phase
        Name of the phase, the first word of its tasks' names.
    factory
        Makes the actor, once in each worker process.
    on_event
        Told what happens, in this thread.
    name
        Names a block in its task: ``z0001-y0002-x0003``.
    patience
        Seconds to wait for blocks in flight after an interrupt; one that hangs is told
        from others as always.

    Returns
    -------
    PhaseDone
        Also the last event. ``stopped`` is set if a disk is full or the output
        is gone: the blocks that are left stay pending.

    Raises
    ------
    KeyboardInterrupt
        After SIGINT or SIGTERM: blocks that had begun have ended and are in the ledger.
        A second signal does not wait.
    ClusterLostError
        If the cluster is lost; what was written before is in the ledger.
    BlocksegError
        If no actor can be built.
    """
    rereads = Rereads(ledger.source.reads(phase, unfinished=True))
    loop = _Loop(executor, queue, ledger, phase, on_event, rereads)
    started = time.monotonic()
    total = queue.waiting
    on_event(PhaseStarted(phase, total))
    if total:  # else no engine need be built
        with _interrupt_flag() as interrupted:
            at_once = False
            try:
                executor.begin(phase, factory, name)
                loop.run(interrupted, patience)
            except KeyboardInterrupt:
                at_once = True
                raise
            finally:
                executor.end(at_once=at_once)
        if interrupted.is_set():
            raise KeyboardInterrupt
    left = total - loop.done - loop.failed
    seconds = time.monotonic() - started
    outcome = PhaseDone(phase, loop.done, loop.failed, left, loop.stopped, seconds)
    on_event(outcome)
    return outcome


@dataclass(slots=True)
class Rereads:
    """Reads of unfinished blocks earlier, in this session or another."""

    sums: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Checksums of what each read, in order; as many as it came to before it failed."""

    def judged(self, report: BlockReport) -> BlockReport:
        """Return a report, as that of a failed block if it read something else.

        What a failed attempt read is kept for the next one.
        """
        before = self.sums.get(report.block_id, ())
        common = min(len(before), len(report.reads))
        if before[:common] != report.reads[:common]:
            return replace(
                report,
                error=(
                    "the source changed while the run went on: the block was read "
                    "before, and other voxels then; put the source back as it was and "
                    "run again, or start over with --overwrite"
                ),
                retry=False,
                reads=before,
                payload=b"",
            )
        longest = max(before, report.reads, key=len)
        if report.error:
            self.sums[report.block_id] = longest
        else:
            self.sums.pop(report.block_id, None)
        return report


@dataclass(slots=True)
class _Loop:
    executor: Executor
    queue: BlockQueue
    ledger: Ledger
    phase: str
    on_event: OnEvent
    rereads: Rereads = field(default_factory=Rereads)
    in_flight: set[int] = field(default_factory=set)
    done: int = 0
    failed: int = 0
    stopped: str = ""

    def run(self, interrupted: threading.Event, patience: float) -> None:
        """Do all blocks, or after an interrupt those in flight."""
        deadline, told = float("inf"), False
        while self.step() and time.monotonic() < deadline:
            if interrupted.is_set() and not told:
                told = True
                self.queue.stop()
                self.executor.wind_down()
                deadline = time.monotonic() + patience
                self.on_event(Message(_WINDING_DOWN))

    def step(self) -> bool:
        """Refill the window and take what came back; False when nothing is left."""
        while room := self.executor.room(self.queue.waiting):
            batch = self.queue.take(room.blocks, room.worker)
            if not batch:
                break
            self.in_flight.update(batch)
            self.executor.submit(batch, room.worker)
        if not self.in_flight:
            return False
        collected = self.executor.collect(_POLL_SECONDS)
        for event in collected.events:
            if (
                isinstance(event, BlockAdvanced)
                and event.block_id not in self.in_flight
            ):
                continue  # it was overtaken by the block's report
            self.on_event(event)
        returned = [block for block in collected.returned if block in self.in_flight]
        self.in_flight.difference_update(returned)
        self.queue.put_back(returned)
        # A worker believed dead may still answer: only the first answer counts.
        reports = []
        for report in collected.reports:
            if report.block_id in self.in_flight:
                self.in_flight.remove(report.block_id)
                reports.append(report)
        self._settle(reports)
        return True

    def _settle(self, reports: Sequence[BlockReport]) -> None:
        final: list[BlockReport] = []
        attempts: dict[int, int] = {}
        events: list[Event] = []
        for report in map(self.rereads.judged, reports):
            before = self.queue.attempts(report.block_id)
            state = self.queue.settle(report)
            if state is BlockState.PENDING:
                if report.fatal:
                    self.stopped = self.stopped or report.error
                else:
                    events.append(BlockRetried(self.phase, report, before + 1))
                continue
            final.append(report)
            attempts[report.block_id] = before + 1
            if state is BlockState.DONE:
                events.append(BlockDone(self.phase, report))
            else:
                events.append(BlockFailed(self.phase, report, before + 1))
        try:
            self.ledger.commit(self.phase, final, attempts)
        except (NoSpaceError, OutputGoneError) as error:
            # Written but not in the ledger: done again by the next run.
            self.queue.stop()
            self.stopped = self.stopped or str(error)
            return
        failed = sum(1 for report in final if report.error)
        self.failed += failed
        self.done += len(final) - failed
        for event in events:
            self.on_event(event)


@contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a flag, so that no report gets lost."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag  # signals reach the main thread only
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    previous = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
