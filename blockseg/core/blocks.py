"""States and reports of blocks: what came of each, and who may touch it next.

Pure values and transitions: no clock, no database, no Dask. The ledger stores
them (:mod:`blockseg.runtime.ledger.ledger`), the executors move them.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from blockseg.core.work_ranges import WorkRanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.holes import Hole
    from blockseg.core.stored_file import StoredFile


class BlockState(StrEnum):
    """Pending blocks have no row in the ledger: absence is the commonest state."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BlockReport:
    """Report of one block; small, since it crosses the network."""

    block_id: int
    """C-order number in the phase's grid."""

    error: str = ""
    """One line; empty if the block was written."""

    traceback: str = ""
    """Traceback of the error, for the ledger."""

    retry: bool = True
    """Whether trying again may help: not for corrupt data."""

    fatal: bool = False
    """Whether no other block can succeed either (a full disk, an output that
    was taken away): the run stops cleanly."""

    broken: bool = False
    """Whether the process that ran it must not be used any more: its device failed."""

    written: int = 0
    """Voxels written."""

    computed: int = 0
    """Voxels inferred, windows that overhang the block included."""

    read_bytes: int = 0
    """Decoded bytes that the block asked its source for."""

    foreground: int = 0
    """Voxels in the mask."""

    nonzero: int = 0
    """Voxels with a probability byte above 0: 0 means that no file is stored."""

    nonfinite: int = 0
    """NaN or infinite input voxels inside the block, treated as background."""

    digest: int = 0
    """CRC-32 of the bytes written at level 0."""

    seconds: tuple[tuple[str, float], ...] = ()
    """Wall time by activity: read, infer, write, and others."""

    note: str = ""
    """Departure from the plan in computing this block, if any."""

    payload: bytes = field(default=b"", repr=False)
    """Block metrics, stored with the block in one transaction."""

    shown: tuple[float, ...] = ()
    """Metrics of the block for whoever looks at the run. Not kept."""

    skipped: int = 0
    """Voxels that ``--sparse`` took for empty and did not infer."""

    device_bytes: int = 0
    """Memory in use on the worker's device after the block; 0 on the CPU. Not kept."""

    decoded_bytes: int = 0
    """Bytes that were decoded for the block, in whole chunks; chunks that were kept in
    memory cost nothing again."""

    reads: tuple[int, ...] = field(default=(), repr=False)
    """Checksum of each thing that was read for the block, in their order; of an attempt
    that failed, as far as it came."""

    damaged: str = ""
    """File whose damage made the block fail, if it was that."""

    files: tuple[StoredFile, ...] = field(default=(), repr=False)
    """Files that the block wrote, by which damage is found later."""

    holes: tuple[Hole, ...] = field(default=(), repr=False)
    """Parts of the block without data."""

    worker: str = ""
    """Process that ran it, as logs call it; empty if that is not known. Not kept."""

    def __reduce__(self) -> tuple[type[BlockReport], tuple[Any, ...]]:
        # Half of the time, and of the bytes, that a dataclass takes by itself.
        return BlockReport, _values_of(self)

    @property
    def state(self) -> BlockState:
        """State that this report puts its block in, retries aside."""
        return BlockState.FAILED if self.error else BlockState.DONE


_values_of = attrgetter(*(one.name for one in fields(BlockReport)))


class Meter(Protocol):
    """Measure an activity: ``with meter("read"): ...``."""

    def __call__(self, activity: str) -> AbstractContextManager[object]:
        """Open a context whose duration counts under ``activity``."""
        ...


class ProcessBlock(Protocol):
    """The actor: holds an engine and open volumes, and does one block at a time.

    Called from several threads of one worker process; it serialises its own
    device. Raises on failure; it need not catch anything.
    """

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        """Read, infer and write one block."""
        ...

    def close(self) -> None:
        """Release the device and the volumes."""
        ...


ProcessorFactory: TypeAlias = "Callable[[], ProcessBlock]"
"""Picklable; called once in each worker process to make its actor."""


@dataclass(slots=True)
class BlockQueue:
    """Which block next: fresh ones in order, then those to try again, alone.

    Parameters
    ----------
    pending
        Ids of the blocks to do, in the order in which to do them.
    max_attempts
        How often a block is tried before it is quarantined.
    workers
        How many workers are expected to take blocks.
    """

    pending: Sequence[int] | NDArray[np.int64]
    max_attempts: int = 3
    workers: int = 1
    _fresh: WorkRanges = field(init=False)
    _again: deque[int] = field(default_factory=deque)
    _attempts: dict[int, int] = field(default_factory=dict)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._fresh = WorkRanges(len(self.pending), self.workers)

    def take(self, count: int, worker: str = "") -> list[int]:
        """Return up to ``count`` blocks for one task.

        Those of one worker follow each other in the order of ``pending``.

        A block that failed before comes by itself: if it takes a worker down
        with it, no other block pays for that.
        """
        if self._stopped or count < 1:
            return []
        places = self._fresh.take(worker, count)
        if places:
            return [int(b) for b in self.pending[places.start : places.stop]]
        return [self._again.popleft()] if self._again else []

    def settle(self, report: BlockReport) -> BlockState:
        """Take a report and return the block's new state.

        Failed blocks are put back (PENDING) until they have had their attempts;
        then they are quarantined (FAILED).
        """
        if not report.error:
            self._attempts.pop(report.block_id, None)
            return BlockState.DONE
        if report.fatal:
            self._stopped = True
            return BlockState.PENDING
        attempts = self._attempts.get(report.block_id, 0) + 1
        self._attempts[report.block_id] = attempts
        if report.retry and attempts < self.max_attempts:
            self._again.append(report.block_id)
            return BlockState.PENDING
        return BlockState.FAILED

    def put_back(self, blocks: Iterable[int]) -> None:
        """Return blocks that never ran, without counting an attempt."""
        self._again.extend(blocks)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True

    def attempts(self, block_id: int) -> int:
        """Failed attempts of a block so far."""
        return self._attempts.get(block_id, 0)

    @property
    def stopped(self) -> bool:
        """Whether a fatal report or the user ended the run early."""
        return self._stopped

    @property
    def waiting(self) -> int:
        """Blocks that can still be taken."""
        if self._stopped:
            return 0
        return self._fresh.left + len(self._again)


_listener: ContextVar[Callable[[float], None] | None] = ContextVar(
    "_listener", default=None
)


@contextmanager
def noting_advance(tell: Callable[[float], None]) -> Iterator[None]:
    """Have ``tell`` called with the share of a block that this thread has inferred, 0 to 1.

    Runs of few blocks listen. Where nobody does, telling costs a look.
    """
    token = _listener.set(tell)
    try:
        yield
    finally:
        _listener.reset(token)


def note_advance(share: float) -> None:
    """Tell whoever tries a block what share of it is inferred, 0 to 1."""
    tell = _listener.get()
    if tell is not None:
        tell(share)
