"""Events of a run for those who watch it: small values, without Dask objects.

The driver emits them in the thread that called it, each after the ledger holds what
it says, so that a progress display never shows more than would survive a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.blocks import BlockReport


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase begins to hand out blocks."""

    phase: str
    """Name of the phase."""

    blocks: int
    """Blocks to do in this run; those that the ledger has are not counted."""


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A block is written and in the ledger."""

    phase: str
    """Name of the phase."""

    report: BlockReport
    """Report of the block."""


@dataclass(frozen=True, slots=True)
class BlockAdvanced:
    """A part of a block is inferred; of runs of few blocks on a cluster alone."""

    block_id: int
    """Block, of the phase at work."""

    share: float
    """Share of the block, 0 to 1."""


@dataclass(frozen=True, slots=True)
class BlockRetried:
    """A block failed and will be tried again."""

    phase: str
    """Name of the phase."""

    report: BlockReport
    """Why it failed."""

    attempts: int
    """Failed attempts so far."""


@dataclass(frozen=True, slots=True)
class BlockFailed:
    """A block is quarantined: the ledger has its traceback, the run continues."""

    phase: str
    """Name of the phase."""

    report: BlockReport
    """Why it failed last."""

    attempts: int
    """Failed attempts altogether."""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker died or left; what it had in flight is done again."""

    worker: str
    """Its address or name."""

    blocks: int
    """Blocks put back because of it, as far as known."""

    why: str = ""
    """Its own account, of a worker that ended itself; empty of others."""


@dataclass(frozen=True, slots=True)
class WorkersChanged:
    """The cluster has another size than before."""

    workers: int
    """Worker processes."""

    threads: int
    """Task threads of all workers."""


@dataclass(frozen=True, slots=True)
class DevicesUsed:
    """Use of the workers' GPUs, as their drivers say; every ten seconds."""

    devices: int
    """Devices of all workers that tell."""

    utilization: float
    """Share of the last moments in which a kernel ran, 0 to 1, over all devices."""

    memory: int
    """Bytes in use on all devices."""

    memory_total: int
    """Bytes of all devices; 0 if not known."""


@dataclass(frozen=True, slots=True)
class Message:
    """One line for a human."""

    text: str
    """Without a line break."""


@dataclass(frozen=True, slots=True)
class PhaseDone:
    """A phase handed out all it had, or was stopped; what ran is in the ledger."""

    phase: str
    """Name of the phase."""

    done: int
    """Blocks done in this run."""

    failed: int
    """Blocks quarantined in this run."""

    left: int
    """Blocks neither done nor quarantined, because the run was stopped."""

    stopped: str
    """Why the run was stopped early, in one line; empty if it was not."""

    seconds: float
    """Wall time of the phase."""


Event: TypeAlias = (
    PhaseStarted
    | BlockDone
    | BlockAdvanced
    | BlockRetried
    | BlockFailed
    | WorkerLost
    | WorkersChanged
    | DevicesUsed
    | Message
    | PhaseDone
)
"""Any of the above."""

OnEvent: TypeAlias = "Callable[[Event], None]"
"""Receiver of events; it must be quick and must not raise."""
