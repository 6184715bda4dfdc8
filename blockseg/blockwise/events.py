"""Events of a job in addition to those of the runtime, for those who watch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from blockseg.runtime.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.geometry import Zyx
    from blockseg.io.stores.location import Location


@dataclass(frozen=True, slots=True)
class JobStarted:
    """Everything is decided and the first block is about to be handed out."""

    out: Location
    """Path of the result."""

    shape: Zyx
    """Voxels of the region to write."""

    block: Zyx
    """Voxels of a block."""

    blocks: int
    """Blocks that the grid, ROI and mask leave."""

    done: int
    """Blocks that an earlier session wrote."""

    engine: str
    """Engine that runs the network, for a human."""

    workers: int
    """Worker processes; 0 when the run has no cluster."""

    dashboard: str
    """Address of the Dask dashboard; empty if there is none."""

    notes: tuple[str, ...]
    """Notes for the user before it starts, a line each."""


JobEvent: TypeAlias = JobStarted | Event
"""Any of them."""

OnJobEvent: TypeAlias = "Callable[[JobEvent], None]"
"""Receiver of events; quick, and raises nothing."""


def ignore(event: JobEvent) -> None:
    """Watch nothing."""
