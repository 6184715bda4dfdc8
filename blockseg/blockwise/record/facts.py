"""Values of ``run.json`` that readers share, out of plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blockseg.core.geometry import Zyx, to_zyx

__all__ = ["RecordedPhase", "phase_from"]


@dataclass(frozen=True, slots=True)
class RecordedPhase:
    """One pass over the blocks of a job."""

    name: str
    """Its name in the ledger."""

    blocks: int
    """Number of its blocks that mask and ROI leave."""

    grid: Zyx
    """Numbers of blocks along (z, y, x)."""


def phase_from(entry: dict[str, Any]) -> RecordedPhase:
    """Return the phase of an entry that has been checked."""
    return RecordedPhase(entry["name"], entry["blocks"], to_zyx(entry["grid"]))
