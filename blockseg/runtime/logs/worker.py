"""Log of a worker: what it did with each block, when, and how long each step took."""

from __future__ import annotations

import os
import socket
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.text import one_line
from blockseg.runtime.attempt import Stopwatch
from blockseg.runtime.logs.lines import ENDING, LineFile
from blockseg.runtime.process_name import file_name, process_name

if TYPE_CHECKING:
    from blockseg.core.blocks import BlockReport, Meter, ProcessBlock, ProcessorFactory
    from blockseg.core.geometry import Zyx

_TRACEBACK_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Logged:
    """Makes actors whose blocks are logged, in the process in which it is called."""

    factory: ProcessorFactory
    """Makes the actors."""

    folder: str
    """Absolute path of the folder of logs, which exists."""

    session: int
    """Number of the start."""

    phase: str
    """Name of the pass."""

    counts: Zyx
    """Blocks of the pass along (z, y, x)."""

    def __call__(self) -> ProcessBlock:
        """Make an actor in this process."""
        name = process_name()
        path = Path(self.folder, session_file(self.session, file_name(name)))
        lines = LineFile(path)
        where = {"session": self.session, "worker": name, "phase": self.phase}
        lines.write("opening", **where, host=socket.gethostname(), pid=os.getpid())
        try:
            process = self.factory()
        except BaseException as error:
            lines.write("unopened", **where, error=one_line(error))
            lines.close()
            raise
        lines.write("open", **where)
        return _LoggedActor(self, process, lines, name)


@dataclass(frozen=True, slots=True)
class _LoggedActor:
    spec: Logged
    process: ProcessBlock
    lines: LineFile
    name: str

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        watch = Stopwatch(meter)
        _, rows, columns = self.spec.counts
        index = [
            block_id // columns // rows,
            block_id // columns % rows,
            block_id % columns,
        ]
        where = {
            "session": self.spec.session,
            "worker": self.name,
            "phase": self.spec.phase,
            "block": index,
        }
        self.lines.write("begun", **where)
        try:
            report = self.process(block_id, watch)
        except BaseException as error:
            text = "".join(traceback.format_exception(error))
            self.lines.write(
                "raised",
                **where,
                seconds=_rounded(watch),
                error=one_line(error),
                traceback=text[-_TRACEBACK_CHARACTERS:],
            )
            raise
        self.lines.write(
            "processed",
            **where,
            seconds=_rounded(watch),
            written=report.written,
            nonzero=report.nonzero,
            files=len(report.files),
        )
        return replace(report, worker=self.name)

    def close(self) -> None:
        try:
            self.process.close()
        finally:
            self.lines.close()


def session_file(session: int, name: str) -> str:
    """Return the name of a log: of a session, and of the process that writes it."""
    return f"{session:04d}.{name}{ENDING}"


def _rounded(watch: Stopwatch) -> dict[str, float]:
    return {activity: round(spent, 3) for activity, spent in watch.seconds}
