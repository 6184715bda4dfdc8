"""Log of one start of a job, written by its driver."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.events import JobStarted
from blockseg.core.text import one_line
from blockseg.core.version import __version__
from blockseg.runtime.events import (
    BlockDone,
    BlockFailed,
    BlockRetried,
    Message,
    PhaseDone,
    PhaseStarted,
    WorkerLost,
    WorkersChanged,
)
from blockseg.runtime.logs.lines import ENDING, LineFile
from blockseg.runtime.logs.worker import Logged, session_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blockseg.blockwise.events import JobEvent, OnJobEvent
    from blockseg.blockwise.job import Job
    from blockseg.blockwise.task import Phase
    from blockseg.core.grid import BlockGrid

LOGS = "logs"
"""Name of the folder, beside the record."""

DRIVER = "driver"
"""Name of the driver in its log's file name."""

_MOST_BYTES = 192 * 2**20


@dataclass(frozen=True, slots=True)
class SessionLog:
    """Takes the events of a session, and gives workers logs of their own."""

    folder: Path
    """Folder of the logs."""

    number: int
    """Number of the session, 1 the first."""

    grids: dict[str, BlockGrid]
    """Blocks of each pass, by its name."""

    lines: LineFile
    """The driver's log."""

    def watching(self, on_event: OnJobEvent) -> OnJobEvent:
        """Return a receiver of events that logs them and passes them on."""

        def take(event: JobEvent) -> None:
            self._take(event)
            on_event(event)

        return take

    def logged(self, phase: Phase) -> Logged:
        """Return a pass whose workers log what they do."""
        return Logged(
            phase, str(self.folder), self.number, phase.name, phase.grid.counts
        )

    def _take(self, event: JobEvent) -> None:
        match event:
            case JobStarted():
                self._write(
                    "started",
                    engine=event.engine,
                    workers=event.workers,
                    blocks=event.blocks,
                    done=event.done,
                    dashboard=event.dashboard,
                    notes=list(event.notes),
                )
            case PhaseStarted():
                self._write("phase", phase=event.phase, blocks=event.blocks)
            case BlockDone():
                self._block("done", event, note=event.report.note)
            case BlockRetried():
                self._block("retried", event, error=event.report.error)
            case BlockFailed():
                self._block("failed", event, error=event.report.error)
            case WorkerLost():
                self._write(
                    "lost", worker=event.worker, blocks=event.blocks, why=event.why
                )
            case WorkersChanged():
                self._write("workers", workers=event.workers, threads=event.threads)
            case Message():
                self._write("message", text=event.text)
            case PhaseDone():
                self._write(
                    "phase-done",
                    phase=event.phase,
                    done=event.done,
                    failed=event.failed,
                    left=event.left,
                    stopped=event.stopped,
                )
            case _:
                pass

    def _block(
        self, kind: str, event: BlockDone | BlockRetried | BlockFailed, **values: Any
    ) -> None:
        report = event.report
        grid = self.grids.get(event.phase)
        index = None if grid is None else list(grid.index_of(report.block_id))
        if not isinstance(event, BlockDone):
            values = {"attempts": event.attempts, **values}
        self._write(
            kind,
            phase=event.phase,
            block=index,
            worker=report.worker,
            seconds={name: round(spent, 3) for name, spent in report.seconds},
            **{name: value for name, value in values.items() if value != ""},
        )

    def _write(self, event: str, **values: Any) -> None:
        self.lines.write(event, session=self.number, **values)


@contextmanager
def session_log(job: Job) -> Iterator[SessionLog]:
    """Log a session from its beginning to its end, however it ends.

    Parameters
    ----------
    job
        Of which the caller holds the output. The logs of its first sessions make room
        where all of them together are too large.
    """
    folder, number = job.paths.folder / LOGS, len(job.record.sessions) + 1
    with suppress(OSError):  # as whatever goes wrong with a log
        folder.mkdir(exist_ok=True)
        _make_room(folder)
    grids = {phase.name: phase.grid for phase in (job.main, *job.coarse)}
    lines = LineFile(folder / session_file(number, DRIVER))
    log = SessionLog(folder, number, grids, lines)
    lines.write(
        "session",
        session=number,
        command=job.command,
        version=__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
        out=str(job.paths.out),
        phases={name: list(grid.counts) for name, grid in grids.items()},
    )
    try:
        yield log
    except BaseException as error:
        lines.write("end", session=number, error=one_line(error))
        raise
    else:
        lines.write("end", session=number)
    finally:
        lines.close()


def _make_room(folder: Path, most_bytes: int = _MOST_BYTES) -> None:
    """Delete the logs of the first sessions until the others are small enough."""
    sizes = {path: path.stat().st_size for path in sorted(folder.glob(f"*{ENDING}"))}
    total = sum(sizes.values())
    for _, files in groupby(sizes, lambda path: path.name.partition(".")[0]):
        if total <= most_bytes:
            break
        for path in files:
            path.unlink(missing_ok=True)
            total -= sizes[path]
