"""Values of ``run.json`` that readers share, out of plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blockseg.core.geometry import Roi, Zyx, to_zyx

__all__ = ["RecordedPhase", "phase_from", "roi_from"]


@dataclass(frozen=True, slots=True)
class RecordedPhase:
    """One pass over the blocks of a job."""

    name: str
    blocks: int
    grid: Zyx


def phase_from(entry: dict[str, Any]) -> RecordedPhase:
    """Return the phase of an entry that has been checked."""
    return RecordedPhase(entry["name"], entry["blocks"], to_zyx(entry["grid"]))


def roi_from(text: str) -> Roi:
    """Return the region that ``z0:z1,y0:y1,x0:x1`` names."""
    ends = [[int(end) for end in part.split(":")] for part in text.split(",")]
    return Roi(to_zyx(a for a, _ in ends), to_zyx(b for _, b in ends))
