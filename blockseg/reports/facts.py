"""Facts of a job from its record and its ledger, for a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.block_holes import hole_lines, hole_outcome
from blockseg.blockwise.planning.sparse_plan import sparse_from
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.record.skipping import sparse_lines, sparse_outcome
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.runtime.ledger.rows import FailedBlock, PhaseSummary


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """One pass over the blocks."""

    name: str
    """Its name in the ledger."""

    blocks: int
    """Blocks that mask and ROI leave."""

    grid: Zyx
    """Numbers of blocks along (z, y, x)."""

    summary: PhaseSummary
    """Sums over its blocks, and when they were entered."""

    failures: tuple[FailedBlock, ...]
    """Blocks in quarantine."""

    @property
    def left(self) -> int:
        """Blocks that are neither written nor in quarantine."""
        return self.blocks - self.summary.done - self.summary.failed


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One start of a job."""

    command: str
    """Command line as the user typed it."""

    host: str
    """Name of the machine."""

    started: float
    """Seconds since the epoch; 0 if not known."""

    finished: float
    """Seconds since the epoch; 0 while it runs, or where it was killed."""

    outcome: str
    """``complete``, ``incomplete``, ``interrupted`` or ``lost``; empty as ``finished``."""

    seconds: float
    """Wall time, planning excluded; 0 if not known."""


@dataclass(frozen=True, slots=True, eq=False)
class JobFacts:
    """A run, or a job that was derived from it."""

    paths: Paths
    """Paths of its own files."""

    record: RunRecord
    """Its record."""

    phases: tuple[PhaseFacts, ...]
    """Passes over blocks, the main one first."""

    sessions: tuple[SessionFacts, ...]
    """Starts, the first one first."""

    notes: tuple[str, ...]
    """Notes on what went otherwise than planned, what was skipped, holes of the source."""

    states: NDArray[np.uint8]
    """State of each block of the main pass, as in the ledger's STATE_CODES."""

    foreground: NDArray[np.int64]
    """Voxels of foreground in each block of the main pass; 0 where it is not done."""

    @property
    def name(self) -> str:
        """``run``, or the name of the derived job."""
        return self.paths.part or "run"

    @property
    def main(self) -> PhaseFacts:
        """Pass that made the result."""
        return self.phases[0]

    @property
    def complete(self) -> bool:
        """Whether every block of every pass is written."""
        return not any(p.left or p.summary.failed for p in self.phases)

    @property
    def seconds(self) -> float:
        """Wall time of all starts that ended, planning excluded."""
        return sum(session.seconds for session in self.sessions)


def job_facts(paths: Paths) -> JobFacts | None:
    """Return the facts of a job; None if there is none.

    Raises
    ------
    LedgerError
        If its record or its ledger cannot be read.
    """
    record = RunRecord.of(paths)
    if record is None:
        return None
    ledger_path = Path(record.execution.get("ledger") or paths.ledger)
    with Ledger.read(ledger_path, record.fingerprint) as ledger:
        phases = tuple(
            PhaseFacts(
                entry.name,
                entry.blocks,
                entry.grid,
                ledger.summary(entry.name),
                tuple(ledger.failures(entry.name)),
            )
            for entry in record.phases
        )
        main = phases[0]
        count = int(np.prod(main.grid))
        return JobFacts(
            paths,
            record,
            phases,
            tuple(_session(entry) for entry in record.sessions),
            tuple(_notes(record, ledger, phases)),
            ledger.states(main.name, count),
            ledger.column(main.name, "foreground", count),
        )


def _session(entry: dict[str, Any]) -> SessionFacts:
    return SessionFacts(
        command=str(entry["command"]),
        host=str(entry.get("host", "")),
        started=_epoch(entry.get("started")),
        finished=_epoch(entry.get("finished")),
        outcome=str(entry.get("outcome", "")),
        seconds=float(entry.get("seconds") or 0.0),
    )


def _epoch(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def _notes(
    record: RunRecord, ledger: Ledger, phases: tuple[PhaseFacts, ...]
) -> Iterator[str]:
    main = phases[0]
    yield from map(str, record.facts.get("outside", ()))
    if note := record.decisions.get("note"):
        yield str(note)
    totals = main.summary.totals
    if totals["nonfinite"]:
        yield f"{totals['nonfinite']} NaN or infinite voxels were taken as background"
    for how, blocks in ledger.notes(main.name).items():
        yield f"{blocks} block{'s' * (blocks != 1)} {how}"
    yield from hole_lines(hole_outcome(ledger.holes(main.name), totals["written"]))
    skipped = sparse_outcome(
        sparse_from(record.decisions.get("sparse")),
        ledger,
        [(phase.name, int(np.prod(phase.grid))) for phase in phases],
    )
    yield from sparse_lines(skipped)
