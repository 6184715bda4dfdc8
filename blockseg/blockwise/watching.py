"""``blockseg status --watch``: repeated looks at a run while it continues.

A look reads sums and the last blocks from the ledger and the ends of a few logs. It
compares no files, and costs the writer nothing.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.blockwise.derived.together import MADE_TOGETHER
from blockseg.blockwise.logs.session import DRIVER, LOGS
from blockseg.blockwise.logs.workers import WorkerNow, workers_now
from blockseg.blockwise.part_status import PhaseStatus
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.shares.merge import share_states
from blockseg.blockwise.shares.plan import shared_plan
from blockseg.blockwise.store_state import paths_of, who_claims
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.logs.worker import session_file
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Callable

_RECENT = 64
_BURST = 8
_MARKS = 64
_STALE_SECONDS = 600.0
_QUIET_SECONDS = 60.0
_QUIET_BLOCKS = 4
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Look:
    """A run as it is at one moment."""

    out: str
    """The output."""

    running: bool
    """Whether somebody is at work on it."""

    job: str = ""
    """Job at work, where it is not the run itself: ``label``, for instance."""

    host: str = ""
    """Machine that says it is at work; empty where it is this one."""

    phases: tuple[PhaseStatus, ...] = ()
    """Passes of the job at work, in their order; empty while it is being planned."""

    at: int = 0
    """Position of the pass at work among these."""

    voxels: int = 0
    """Voxels that this pass has written."""

    blocks_per_second: float = 0.0
    """Blocks a second, of the last blocks of this start; 0 while unknown."""

    voxels_per_second: float = 0.0
    """Voxels a second, likewise."""

    quiet: float = 0.0
    """Seconds without a new block, if these are many; else 0."""

    worker_count: int = 0
    """Number of workers, as far as the logs tell."""

    workers: tuple[WorkerNow, ...] = ()
    """Those of them that are at a block."""

    failures: tuple[str, ...] = ()
    """The last blocks in quarantine, each in a line."""

    @property
    def phase(self) -> PhaseStatus | None:
        """Pass at work; None while the job is being planned."""
        return self.phases[self.at] if self.phases else None

    @property
    def remaining(self) -> float | None:
        """Seconds that the pass still takes at this rate; None if unknown."""
        phase = self.phase
        if phase is None or not self.blocks_per_second or self.quiet:
            return None
        return (phase.blocks - phase.done - phase.failed) / self.blocks_per_second


class Watch:
    """Looks at the run of an output.

    Parameters
    ----------
    out
        Output, on a disk or in a store.
    clock
        Seconds that only ever grow.
    """

    def __init__(self, out: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)
        self._of: tuple[str, int] | None = None

    def look(self) -> Look:
        """Return the run as it is now.

        Raises
        ------
        VolumeError
            If there is no such output, it is none of ours, or its store does not answer.
        LedgerError
            If record or ledger cannot be read.
        """
        paths = paths_of(self._out)
        if not paths.folder.is_dir():
            message = (
                f"{paths.out} is no output of blockseg: it has no folder .blockseg"
            )
            raise VolumeError(message)
        lock = RunLock(paths.lock)
        held = lock.is_held()
        purpose = lock.purpose_of_holder() if held else ""
        host = "" if held else _elsewhere(paths, lock)
        found = Look(str(paths.out), held or bool(host), purpose, host)
        if RunRecord.of(paths) is None:
            return self._rated(_of_shares(paths, found))
        return self._rated(_of_job(_at_work(paths, purpose), found))

    def _rated(self, look: Look) -> Look:
        """Add what several looks tell: the rate, where the ledger has none, and quiet."""
        phase = look.phase
        if phase is None:
            return look
        now, done = self._clock(), phase.done + phase.failed
        if self._of != (key := (look.job, look.at)):
            self._of = key
            self._marks.clear()
        if not self._marks or self._marks[-1][1] != done:
            self._marks.append((now, done))
        (first, before), (last, _) = self._marks[0], self._marks[-1]
        rate = look.blocks_per_second
        if not rate and last > first:
            rate = (done - before) / (last - first)
            look = replace(look, blocks_per_second=rate)
        quiet = now - last
        usual = _QUIET_BLOCKS / rate if rate else 0.0
        return replace(look, quiet=quiet if quiet > max(_QUIET_SECONDS, usual) else 0.0)


def _elsewhere(paths: Paths, lock: RunLock) -> str:
    """Return the machine that says it is at work where no lock can be seen.

    A lock on a disk that machines share may be seen by its own machine alone. Then its
    holder's note and files that still change speak for it.
    """
    if not isinstance(paths.out, Path):
        host = who_claims(paths.out)
        return "" if host == socket.gethostname() else host
    host = lock.host_of_holder()
    if not host or host == socket.gethostname():
        return ""
    ledger = paths.ledger
    files = [ledger, ledger.with_name(f"{ledger.name}-wal")]
    files += (paths.folder / LOGS).glob(session_file(0, DRIVER).replace("0000", "*"))
    changed = 0.0
    for path in files:
        with suppress(OSError):
            changed = max(changed, path.stat().st_mtime)
    return host if time.time() - changed < _STALE_SECONDS else ""


def _at_work(run: Paths, purpose: str) -> Paths:
    """Return the job of an output that somebody is at work on."""
    begun: list[tuple[bool, str, Paths]] = []
    for name in MADE_TOGETHER.get(purpose, (purpose,) if purpose else ()):
        paths = Paths(run.out, name)
        record = RunRecord.of(paths) if paths.folder.is_dir() else None
        if record is not None and record.sessions:
            held = RunLock(paths.lock).is_held()
            begun.append((held, str(record.sessions[-1]["started"]), paths))
    return max(begun, key=lambda each: each[:2])[2] if begun else run


def _of_job(paths: Paths, look: Look) -> Look:
    record = RunRecord.of(paths)
    if record is None:
        return look
    try:
        path = Path(record.execution.get("ledger") or paths.ledger)
        ledger = Ledger.read(path, record.fingerprint)
    except LedgerError:
        if look.running:  # it is made after the record
            return look
        raise
    entries = record.phases
    with ledger:
        sums = [ledger.summary(entry.name) for entry in entries]
        phases = tuple(
            PhaseStatus(entry.name, entry.blocks, found.done, found.failed)
            for entry, found in zip(entries, sums, strict=True)
        )
        left = (i for i, p in enumerate(phases) if p.done + p.failed < p.blocks)
        at = next(left, len(phases) - 1)
        recent = ledger.recent(entries[at].name, _RECENT)
        failures = tuple(
            f"{entry.name} block {_place(row.block_id, entry.grid)}: {row.error}"
            for entry in entries
            for row in ledger.failures(entry.name)[-_SHOWN:]
        )[-_SHOWN:]
    started = _epoch(str(record.sessions[-1]["started"])) if record.sessions else 0.0
    blocks, voxels = _rates([row for row in recent if row[0] >= started], started)
    count, workers = 0, tuple[WorkerNow, ...]()
    if look.running:
        count, workers = workers_now(paths.folder, len(record.sessions))
    return replace(
        look,
        phases=phases,
        at=at,
        voxels=sums[at].totals["written"],
        blocks_per_second=blocks,
        voxels_per_second=voxels,
        worker_count=count,
        workers=workers,
        failures=failures,
    )


def _of_shares(paths: Paths, look: Look) -> Look:
    """Return the state of a run in parts; what is being planned has no passes yet."""
    on_disk = paths.out if isinstance(paths.out, Path) else None
    plan = None if on_disk is None else shared_plan(on_disk)
    if on_disk is None or plan is None:
        return look
    states = share_states(on_disk, plan)
    main = plan.record.phases[0]
    done = sum(state.done for state in states)
    failed = sum(state.failed for state in states)
    running = [state for state in states if state.running]
    return replace(
        look,
        running=look.running or bool(running),
        phases=(PhaseStatus(main.name, main.blocks, done, failed),),
        workers=tuple(
            WorkerNow(
                f"part {state.share}", (f"{state.done} of {state.blocks} blocks",)
            )
            for state in running
        ),
    )


def _rates(recent: list[tuple[float, int]], started: float) -> tuple[float, float]:
    """Return blocks and voxels a second between the oldest and the newest of some.

    The first blocks of several workers end together, and say nothing of the time between
    them: while there are few, it is the time since the start that counts.
    """
    if not recent:
        return 0.0, 0.0
    since = started if len(recent) < _BURST else recent[-1][0]
    after = [voxels for when, voxels in recent if when > since]
    seconds = recent[0][0] - since
    if seconds <= 0 or not since:
        return 0.0, 0.0
    return len(after) / seconds, sum(after) / seconds


def _epoch(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0


def _place(block_id: int, counts: tuple[int, int, int]) -> str:
    _, ny, nx = counts
    return f"{block_id // (ny * nx)},{block_id // nx % ny},{block_id % nx}"
