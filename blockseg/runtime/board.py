"""The board of a run: what every block and worker does, for whoever looks.

The driver's thread writes, a few bytes a block, whether anybody looks or not; readers in
other threads see whole values, at worst some that are a moment apart. Nothing is drawn
and nothing is sent before somebody asks.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from blockseg.dhpr.block_metrics import SHOWN
from blockseg.runtime.events import (
    BlockDone,
    BlockFailed,
    BlockRetried,
    PhaseDone,
    WorkerLost,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from blockseg.core.blocks import BlockReport
    from blockseg.runtime.events import Event

EXTENSION = "blockseg"
"""Name under which a scheduler has the board of its run, and path of the page."""

_RATE_SECONDS = 60.0
_MARK_SECONDS = 1.0
_MARKS = 90  # at one a second: more than the rate looks back
_HISTORY = 600  # of the chart, which reaches from the begin of the phase to now
_FAILURES = 100

METRICS = ("foreground", "seconds", "skipped")
"""Numbers of every block that the map can show: share of the mask, seconds that it took,
share that was taken for empty."""

Mark: TypeAlias = tuple[float, int, int]
"""Time, blocks and voxels done in this phase by then."""


def _zeros() -> defaultdict[Any, float]:
    return defaultdict(float)


class Shown(IntEnum):
    """State of a block on the map, of several the first that holds from the end."""

    OUTSIDE = 0
    """No block of the run: ROI and mask leave it out."""

    PENDING = 1
    """Waits."""

    EARLIER = 2
    """Written by an earlier start."""

    DONE = 3
    """Written."""

    PARTLY = 4
    """Several blocks, of which some are written."""

    RUNNING = 5
    """At a worker, running or next."""

    FAILED = 6
    """In quarantine."""


@dataclass(slots=True)
class WorkerSums:
    """Work of one worker so far."""

    blocks: int = 0
    """Blocks that it did."""

    seconds: defaultdict[str, float] = field(default_factory=_zeros)
    """Seconds by activity, over its threads; ``queue`` is what tasks waited."""

    device_bytes: int = 0
    """Memory in use on its device after the last block; 0 on the CPU."""

    lost: bool = False
    """Whether it died."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A block in quarantine."""

    block: str
    """Phase and place in the grid."""

    attempts: int
    """How often it was tried."""

    error: str
    """Why it failed last, in one line."""


@dataclass(slots=True, eq=False)
class Board:
    """The blocks of the phase at work, and sums over the run's session."""

    clock: Callable[[], float] = time.monotonic
    """Clock."""

    out: str = ""
    """Where the result will be."""

    engine: str = ""
    """Engine that runs the network, for a human."""

    measured: bool = False
    """Whether blocks report :data:`~blockseg.dhpr.block_metrics.SHOWN`."""

    phase: str = ""
    """Phase at work."""

    total: int = 0
    """Blocks of the phase, those done earlier included."""

    changes: int = 0
    """Number of changes; whoever has seen the last one need not draw."""

    states: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 0), "u1"))
    """:class:`Shown` of each block, shape of the grid."""

    metrics: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Numbers of each block that is done in this session, NaN elsewhere, flat; of one that
    is measured also those of :data:`~blockseg.dhpr.block_metrics.SHOWN`."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Blocks by phase and by what became of them: done, failed, retried, earlier."""

    voxels: Counter[str] = field(default_factory=Counter)
    """Voxels written, by phase."""

    seconds: defaultdict[tuple[str, str], float] = field(default_factory=_zeros)
    """Seconds by phase and activity, over all workers."""

    workers: dict[str, WorkerSums] = field(default_factory=dict)
    """Workers by address."""

    failures: deque[Failed] = field(default_factory=lambda: deque(maxlen=_FAILURES))
    """The last ones in quarantine."""

    marks: deque[Mark] = field(default_factory=lambda: deque(maxlen=_MARKS))
    """The last ones, at most one a second."""

    history: list[Mark] = field(default_factory=list)
    """Those of the whole phase, the further apart the longer it takes."""

    touched: deque[int] | None = None
    """Blocks that changed, for whoever takes them out; None where nobody does."""

    def begin(
        self,
        phase: str,
        counts: Sequence[int],
        blocks: NDArray[np.int64],
        pending: NDArray[np.int64],
    ) -> None:
        """Begin a phase.

        Parameters
        ----------
        phase
            Its name.
        counts
            Blocks along (z, y, x).
        blocks
            Ids that are to be done or were.
        pending
            Those of them that are to be done.
        """
        z, y, x = counts
        states = np.zeros(z * y * x, np.uint8)
        states[blocks] = Shown.EARLIER
        states[pending] = Shown.PENDING
        names = (*METRICS, *SHOWN) if self.measured else METRICS
        self.metrics = {m: np.full(len(states), np.nan, np.float32) for m in names}
        self.states = states.reshape(z, y, x)
        self.phase, self.total = phase, len(blocks)
        self.counts[phase, "earlier"] = len(blocks) - len(pending)
        self.marks.clear()
        self.marks.append((self.clock(), 0, 0))
        self.history = list(self.marks)
        self.changes += 1

    def handed_out(self, blocks: Iterable[int]) -> None:
        """Mark blocks that are on their way to a worker."""
        self._set(blocks, Shown.RUNNING)

    def put_back(self, blocks: Iterable[int]) -> None:
        """Mark blocks that came back without having run."""
        self._set(blocks, Shown.PENDING)

    def worked(
        self, worker: str, reports: Sequence[BlockReport], queued: float = 0.0
    ) -> None:
        """Count what a worker did.

        Parameters
        ----------
        worker
            Its address.
        reports
            Reports of the blocks that ran there.
        queued
            Seconds that they waited for it as a task.
        """
        sums = self.workers.setdefault(worker, WorkerSums())
        sums.blocks += len(reports)
        sums.seconds["queue"] += queued
        self.seconds[self.phase, "queue"] += queued
        for report in reports:
            for activity, seconds in report.seconds:
                sums.seconds[activity] += seconds
                self.seconds[self.phase, activity] += seconds
            sums.device_bytes = report.device_bytes or sums.device_bytes

    def take(self, event: Event) -> None:
        """Take what the driver tells of a block, a worker or a phase."""
        if isinstance(event, BlockDone):
            self._done(event.phase, event.report)
        elif isinstance(event, BlockFailed):
            self._set([event.report.block_id], Shown.FAILED)
            self.counts[event.phase, "failed"] += 1
            place = self._place(event.report.block_id)
            name = f"{event.phase} {place}"
            self.failures.append(Failed(name, event.attempts, event.report.error))
        elif isinstance(event, BlockRetried):
            self._set([event.report.block_id], Shown.PENDING)
            self.counts[event.phase, "retried"] += 1
        elif isinstance(event, WorkerLost):
            self.workers.setdefault(event.worker, WorkerSums()).lost = True
            self.changes += 1
        elif isinstance(event, PhaseDone):
            self.changes += 1

    @property
    def done(self) -> int:
        """Blocks of the phase that are written, by this start or an earlier one."""
        counts, phase = self.counts, self.phase
        return counts[phase, "done"] + counts[phase, "earlier"]

    @property
    def left(self) -> int:
        """Blocks of the phase that are neither written nor in quarantine."""
        return self.total - self.done - self.counts[self.phase, "failed"]

    def rates(self) -> tuple[float, float]:
        """Return blocks and voxels a second over the last minute."""
        marks = list(self.marks)
        if not marks:
            return 0.0, 0.0
        now = self.clock()
        start = next((m for m in marks if m[0] >= now - _RATE_SECONDS), marks[-1])
        seconds = max(now - start[0], 1e-9)
        done, voxels = self.counts[self.phase, "done"], self.voxels[self.phase]
        if seconds < _MARK_SECONDS:
            return 0.0, 0.0
        return (done - start[1]) / seconds, (voxels - start[2]) / seconds

    def remaining(self) -> float | None:
        """Return the seconds that the phase still takes at this rate; None if unknown."""
        blocks, _ = self.rates()
        return self.left / blocks if blocks > 0 else None

    def plane(self, z: int, most: int) -> NDArray[np.uint8]:
        """Return the states of a plane of blocks, ``most`` cells along an axis at most.

        A cell of several blocks shows a failure or a running block if it has one, and
        ``PARTLY`` where only some are written.
        """
        return _shrunk_states(self.states[z], most)

    def metric_plane(self, z: int, metric: str, most: int) -> NDArray[np.float32]:
        """Return a number of the blocks of a plane, means of cells; NaN where unknown."""
        values = self.metrics[metric].reshape(self.states.shape)[z]
        y, x = _factors(values.shape, most)
        if y == x == 1:
            return np.array(values)
        cells = _cells(values, y, x, np.nan)
        known = np.isfinite(cells)
        count = known.sum(axis=(1, 3))
        total = np.where(known, cells, 0).sum(axis=(1, 3))
        mean = np.full(count.shape, np.nan, np.float32)
        np.divide(total, count, out=mean, where=count > 0)
        return mean

    def _done(self, phase: str, report: BlockReport) -> None:
        number = report.block_id
        self.counts[phase, "done"] += 1
        self.voxels[phase] += report.written
        if phase == self.phase and number < self.states.size:
            self.states.flat[number] = Shown.DONE
            voxels = max(report.written, 1)
            spent = sum(seconds for _, seconds in report.seconds)
            found = (report.foreground / voxels, spent, report.skipped / voxels)
            for name, value in zip(METRICS, found, strict=True):
                self.metrics[name][number] = value
            if self.measured:
                for name, value in zip(SHOWN, report.shown, strict=False):
                    self.metrics[name][number] = value
            if self.touched is not None:
                self.touched.append(number)
        self.changes += 1
        now = self.clock()
        if not self.marks or now - self.marks[-1][0] >= _MARK_SECONDS:
            self._mark((now, self.counts[phase, "done"], self.voxels[phase]))

    def _mark(self, mark: Mark) -> None:
        self.marks.append(mark)
        history = self.history
        apart = (mark[0] - history[0][0]) / _HISTORY if history else 0.0
        if not history or mark[0] - history[-1][0] >= apart:
            history.append(mark)
        if len(history) > 2 * _HISTORY:
            self.history = history[::2]

    def _set(self, blocks: Iterable[int], state: Shown) -> None:
        for number in blocks:
            if number < self.states.size:
                self.states.flat[number] = state
                if self.touched is not None:
                    self.touched.append(number)
        self.changes += 1

    def _place(self, number: int) -> str:
        if number >= self.states.size:
            return str(number)
        z, y, x = np.unravel_index(number, self.states.shape)
        return f"z{z:04d}-y{y:04d}-x{x:04d}"


def _factors(shape: tuple[int, ...], most: int) -> tuple[int, int]:
    y, x = (-(-n // most) for n in shape)
    return max(y, 1), max(x, 1)


def _cells(
    plane: NDArray[np.generic], y: int, x: int, fill: float
) -> NDArray[np.generic]:
    """Return a plane in cells, shape (rows, y, columns, x), filled up at the end."""
    rows, columns = (-(-n // k) for n, k in zip(plane.shape, (y, x), strict=True))
    whole = np.full((rows * y, columns * x), fill, plane.dtype)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    return whole.reshape(rows, y, columns, x)


def _shrunk_states(plane: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    y, x = _factors(plane.shape, most)
    if y == x == 1:
        return plane.copy()
    cells = _cells(plane, y, x, Shown.OUTSIDE)

    def some(*states: Shown) -> NDArray[np.bool_]:
        return np.asarray(np.isin(cells, states).any(axis=(1, 3)))

    waits = some(Shown.PENDING)
    written = some(Shown.DONE, Shown.EARLIER)
    found = np.zeros(waits.shape, np.uint8)
    found[waits] = Shown.PENDING
    found[some(Shown.EARLIER) & ~waits] = Shown.EARLIER
    found[some(Shown.DONE) & ~waits] = Shown.DONE
    found[written & waits] = Shown.PARTLY
    found[some(Shown.RUNNING)] = Shown.RUNNING
    found[some(Shown.FAILED)] = Shown.FAILED
    return found
