"""Execution of a job's phases on an executor, with a ledger, resumably."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.block_holes import hole_outcome
from blockseg.blockwise.empty_levels import empty_reports
from blockseg.blockwise.job import Failure, JobResult, Totals
from blockseg.blockwise.logs.session import session_log
from blockseg.blockwise.output_lock import locked_output
from blockseg.blockwise.planning.sparse_plan import sparse_from
from blockseg.blockwise.record.record import COPY, now, session
from blockseg.blockwise.record.skipping import sparse_outcome
from blockseg.blockwise.sources.damage import METADATA
from blockseg.blockwise.sources.repair import try_again
from blockseg.blockwise.sources.watch import replaced_before
from blockseg.blockwise.store_state import copied_state
from blockseg.core.blocks import BlockQueue
from blockseg.core.errors import BlocksegError, LedgerError, VolumeError
from blockseg.io.output.create import (
    add_images,
    create_output,
    remove_stale_locks,
)
from blockseg.runtime.board import Board
from blockseg.runtime.driver import drive
from blockseg.runtime.events import BlockDone, Message, PhaseDone
from blockseg.runtime.ledger.file import check_ledger_there
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.ledger.ownership import discard_ledger
from blockseg.runtime.memory import give_back_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.blockwise.events import JobStarted, OnJobEvent
    from blockseg.blockwise.job import Job
    from blockseg.blockwise.logs.session import SessionLog
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.blockwise.store_state import StateCopy
    from blockseg.blockwise.task import Phase
    from blockseg.core.grid import BlockGrid
    from blockseg.runtime.events import Event
    from blockseg.runtime.executor import Executor
    from blockseg.runtime.ledger.rows import PhaseSummary


def execute(
    job: Job,
    executor: Executor,
    on_event: OnJobEvent,
    started: Callable[[int], JobStarted],
    settle: Callable[[], None],
    board: Board | None = None,
    at_end: Callable[[], None] | None = None,
) -> JobResult:
    """Run what is left of a job.

    Parameters
    ----------
    job
        What to do.
    executor
        Where blocks run.
    on_event
        Told what happens.
    started
        Makes the first event from the number of blocks that earlier sessions wrote.
    settle
        Waits for writers that a dead driver of this output left on the cluster.
    board
        Told of every phase and block, for whoever looks.
    at_end
        Writes what is made of all blocks, unless something stopped the job; OUT is held
        until it has.

    Raises
    ------
    LedgerError
        If another run holds OUT, or the ledger belongs to another run.
    NoSpaceError
        If the disk is full before the first block; later the run stops by itself.
    ClusterLostError
        If the cluster is lost; what was written is in the ledger.
    KeyboardInterrupt
        After a signal; what was in flight is in the ledger.
    """
    with (
        locked_output(job.paths, fresh=not job.resumed, settle=settle),
        copied_state(job.paths, job.ledger) as copy,
    ):
        with _ledger(job) as ledger, session_log(job) as log:
            run = _begun(job, executor, ledger, log, on_event, started, board, copy)
            result = run.run()
        if at_end and not result.stopped:
            at_end()
    return result


def _begun(
    job: Job,
    executor: Executor,
    ledger: Ledger,
    log: SessionLog,
    on_event: OnJobEvent,
    started: Callable[[int], JobStarted],
    board: Board | None,
    copy: StateCopy,
) -> _Session:
    on_event = log.watching(on_event)
    if job.resumed:  # before anything of it is written again
        try_again(job, ledger, on_event)
    if job.images:
        ours = [file for _, file in ledger.written.of(METADATA)]
        if job.paths.part and not job.paths.share:
            files = add_images(job.paths.out, job.images, ours=ours)
        else:
            files = create_output(*job.images, ours=ours, shared=job.paths.share)
        ledger.written.put(METADATA, files)
    record = replace(job.record, sessions=(*job.record.sessions, session(job.command)))
    _save(record, job, ledger)
    _send(copy, job)
    if not job.paths.share:  # those of other drivers are in use
        remove_stale_locks(job.paths.out)
    if job.record.decisions.get("trial"):
        ledger.put("engine", json.dumps(job.record.decisions["trial"]))
    job.watch.begin(ledger, on_event)
    before = len(job.candidates) - len(_pending(ledger, job.main, job.candidates))
    on_event(started(before))
    board = board or Board()
    return _Session(job, executor, ledger, on_event, record, log, board)


@dataclass(slots=True)
class _Session:
    job: Job
    executor: Executor
    ledger: Ledger
    on_event: OnJobEvent
    record: RunRecord
    log: SessionLog
    board: Board
    voxels: int = 0
    told: set[str] = field(default_factory=set)

    def run(self) -> JobResult:
        began = time.monotonic()
        outcome = "lost"
        try:
            stopped = [
                self._phases(),
                self.job.watch.finish(self.ledger, self.on_event),
            ]
            result = self._result(
                "; ".join(filter(None, stopped)), time.monotonic() - began
            )
            outcome = "complete" if result.complete else "incomplete"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        except LedgerError:
            check_ledger_there(self.ledger.path)  # that it was taken away tells more
            raise
        finally:
            if outcome in ("interrupted", "lost"):
                with suppress(VolumeError):  # what ended the run tells more
                    self._close(outcome, None)
        try:
            self._close(outcome, result)
        except VolumeError as error:
            return replace(result, stopped=result.stopped or str(error))
        return result

    def _phases(self) -> str:
        job = self.job
        # Handed over, not kept: of a million blocks it is 8 MB, for days.
        handed = [_pending(self.ledger, job.main, job.candidates)]
        if len(handed[0]):
            # Coarse levels cover many blocks: cheaper made again than tracked.
            for phase in job.coarse:
                self.ledger.reset(phase.name)
        done = self._drive(job.main, handed.pop())
        if done.stopped:
            return done.stopped
        for phase in job.coarse:
            done = self._drive(phase, self._not_empty(phase))
            if done.stopped:
                return done.stopped
        return ""

    def _not_empty(self, phase: Phase) -> NDArray[np.int64]:
        """Enter the blocks of a coarse level that are empty, and return the others."""
        every = phase.blocks
        pending = _pending(self.ledger, phase, every)
        empty = empty_reports(
            self.ledger, self.job.main, self.job.candidates, phase, pending
        )
        if empty:
            self.ledger.commit(phase.name, empty)
        return _pending(self.ledger, phase, every)

    def _drive(self, phase: Phase, pending: NDArray[np.int64]) -> PhaseDone:
        if not len(pending):
            return PhaseDone(phase.name, 0, 0, 0, "", 0.0)
        blocks = self.job.candidates if phase is self.job.main else phase.blocks
        self.board.begin(phase.name, phase.grid.counts, blocks, pending)
        if phase.traversal is not None:
            pending = phase.traversal.ordered(pending)
        give_back_memory()  # what planning took stays ours else, for days
        return drive(
            self.executor,
            BlockQueue(pending, self.job.settings.attempts, phase.workers),
            self.ledger,
            phase.name,
            self.log.logged(replace(phase, only=None)),  # which travels to the workers
            self._count,
            name=block_names(phase.grid),
        )

    def _count(self, event: Event) -> None:
        self.board.take(event)
        if isinstance(event, BlockDone) and event.phase == self.job.main.name:
            self.voxels += event.report.written
            note = event.report.note
            if note and note not in self.told:
                self.told.add(note)
                text = f"block {event.report.block_id} and others like it: {note}"
                self.on_event(Message(text))
        self.on_event(event)

    def _result(self, stopped: str, seconds: float) -> JobResult:
        job = self.job
        failures = tuple(
            Failure(phase.name, phase.grid.index_of(row.block_id), row.error)
            for phase in (job.main, *job.coarse)
            for row in self.ledger.failures(phase.name)
        )
        totals = _totals(self.ledger.summary(job.main.name))
        return JobResult(
            out=job.paths.out,
            blocks=len(job.candidates),
            done=self.ledger.summary(job.main.name).done,
            failures=failures,
            stopped=stopped,
            seconds=seconds,
            session_voxels=self.voxels,
            totals=totals,
            holes=hole_outcome(self.ledger.holes(job.main.name), totals["written"]),
            otherwise=self.ledger.notes(job.main.name),
            replaced=replaced_before(self.ledger),
            sparse=sparse_outcome(
                sparse_from(job.record.decisions.get("sparse")),
                self.ledger,
                [(phase.name, len(phase.grid)) for phase in (job.main, *job.coarse)],
            ),
        )

    def _close(self, outcome: str, result: JobResult | None) -> None:
        *earlier, this = self.record.sessions
        this = {**this, "finished": now(), "outcome": outcome}
        if result is not None:
            this["seconds"] = round(result.seconds, 3)
            this["blocks_done"] = result.done
            if result.sparse is not None:
                this["sparse"] = result.sparse.to_plain()
            this["totals"] = result.totals
            if result.holes is not None:
                this["holes"] = asdict(result.holes)
            if result.otherwise:
                this["otherwise"] = result.otherwise
        _save(replace(self.record, sessions=(*earlier, this)), self.job, self.ledger)


def _save(record: RunRecord, job: Job, ledger: Ledger) -> None:
    """Write the record, and a copy from which it can be restored."""
    record.save(job.paths.record)
    with suppress(BlocksegError):  # a run that cannot keep it does without
        ledger.put(COPY, record.to_text())


def _send(copy: StateCopy, job: Job) -> None:
    """Copy the state before the first block: from then on there is something to lose."""
    try:
        copy.send()
    except OSError as error:
        message = f"{job.paths.name} cannot be written: {error.strerror or error}"
        raise VolumeError(message) from error


def _ledger(job: Job) -> Ledger:
    if job.resumed:
        return Ledger.open(job.ledger, job.record.fingerprint)
    # One in its usual place is gone already; elsewhere OUT's old one still lies.
    discard_ledger(job.ledger, job.paths.owner)
    return Ledger.create(job.ledger, job.record.fingerprint, job.paths.owner)


def _pending(
    ledger: Ledger, phase: Phase, candidates: NDArray[np.int64]
) -> NDArray[np.int64]:
    return ledger.pending(phase.name, candidates)


def _totals(summary: PhaseSummary) -> Totals:
    return {**summary.totals, "seconds": dict(summary.seconds), "noted": summary.noted}


def block_names(grid: BlockGrid) -> Callable[[int], str]:
    """Return a function that names a block as the dashboard shows it."""

    def name(block_id: int) -> str:
        z, y, x = grid.index_of(block_id)
        return f"z{z:04d}-y{y:04d}-x{x:04d}"

    return name
