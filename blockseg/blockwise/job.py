"""A job as it is handed over to be done, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockseg.blockwise.sources.watch import Watch
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.ledger.rows import BlockSums

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.blockwise.block_holes import FoundHoles
    from blockseg.blockwise.record.record import Paths, RunRecord
    from blockseg.blockwise.record.skipping import SparseOutcome
    from blockseg.blockwise.task import Phase
    from blockseg.config.settings import RunSettings
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.stores.location import Location
    from blockseg.runtime.memory import Layout


@dataclass(frozen=True, slots=True)
class Job:
    """A main pass over blocks, and the coarse levels after it."""

    paths: Paths
    """Where everything is kept."""

    record: RunRecord
    """Record of what was asked and decided."""

    resumed: bool
    """Whether the record was found on disk."""

    settings: RunSettings
    """Settings, of which those of execution count here."""

    layout: Layout
    """How many workers of our own fit the machine."""

    main: Phase
    """The task."""

    candidates: NDArray[np.int64]
    """Ids of the blocks that mask and ROI leave, in order."""

    coarse: tuple[Phase, ...]
    """Passes after it, in order: other tasks, and levels of what the task wrote."""

    ledger: Path
    """State of every block."""

    command: str = ""
    """Command line as the user typed it."""

    watch: Watch = field(default_factory=Watch)
    """Sources, and how they were when the job began."""

    measured: bool = False
    """Whether blocks report metrics for whoever looks at the run."""

    @property
    def images(self) -> tuple[PyramidSpec, ...]:
        """All images in OUT, each written by every block of the task."""
        return tuple(stored.pyramid for stored in self.main.stored)

    def done_before(self) -> int:
        """Blocks of the main pass that earlier sessions wrote."""
        if not self.resumed or not self.ledger.exists():
            return 0
        with Ledger.read(self.ledger) as ledger:
            return ledger.summary(self.main.name).done

    def payloads(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and payload of each block of the task that is done and has one.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """
        with Ledger.read(self.ledger, self.record.fingerprint) as ledger:
            yield from ledger.payloads(self.main.name)


@dataclass(frozen=True, slots=True)
class Failure:
    """A block in quarantine."""

    phase: str
    """Which pass."""

    index: tuple[int, int, int]
    """Position in the grid."""

    error: str
    """One line."""


class Totals(BlockSums):
    """Sums over the blocks of a task that are done."""

    seconds: dict[str, float]
    """Wall seconds by activity, of all workers."""

    noted: int
    """Blocks done otherwise than planned."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Outcome of a job."""

    out: Location
    """The output group."""

    blocks: int
    """Blocks that mask and ROI leave."""

    done: int
    """Written ones of these; by this session and those before it."""

    failures: tuple[Failure, ...]
    """Blocks in quarantine."""

    stopped: str
    """Why it ended early; empty if it did not."""

    seconds: float
    """Wall time of this session, planning excluded."""

    session_voxels: int
    """Voxels that this session wrote at level 0."""

    totals: Totals
    """Sums over all blocks."""

    sparse: SparseOutcome | None = None
    """Savings of ``--sparse``, and at what loss; None without it."""

    holes: FoundHoles | None = None
    """Parts of the source without data: voxels, share, the largest holes; None if
    there is none."""

    otherwise: dict[str, int] = field(default_factory=dict)
    """Blocks computed otherwise than planned, by how and why."""

    replaced: str = ""
    """Files of the source that were replaced after the run began, and the first one's
    name; empty if none was."""

    remarks: tuple[str, ...] = ()
    """Remarks on what of the source was not as it should be, a line each."""

    @property
    def complete(self) -> bool:
        """Whether every block and every level is written."""
        return not self.stopped and not self.failures and self.done == self.blocks
