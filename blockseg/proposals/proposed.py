"""Result of a choice of blocks to annotate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Proposed:
    """Picks of a call."""

    folder: Path
    """``PICKS``."""

    names: tuple[str, ...]
    """Names of the picks of this call, best first."""

    kept: int
    """Labels that were there before and are as they were."""

    candidates: int
    """Blocks that the rule chose from."""

    blocks: int
    """Blocks of the brain."""

    shape: tuple[int, int, int]
    """Voxels of a pick along (z, y, x), at most."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""
