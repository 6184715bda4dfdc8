"""Request for a selection of blocks, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Request for a number of blocks, and the rule that picks them."""

    count: int
    """Picks at most."""

    rule: str = "dhpr"
    """One of :data:`blockseg.dhpr.selection.rules.RULES`."""

    seed: int = 0
    """Seed of what is drawn at random."""

    earlier: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((0, 2, 3), np.int64)
    )
    """First voxel and voxel after the last of earlier picks, shape (k, 2, 3)."""

    hardness_weight: float = 1.0
    """λ: worth of the mean hardness against that of standing for all; rule dhpr."""

    amount: bool = True
    """Whether hardness is the amount that is hard in a block, not the share; rule dhpr."""

    reserve: float = 0.075
    """Share of the picks for blocks without neurites or with artefacts; rule dhpr."""

    references: int = 5_000
    """Blocks to stand for at most; rule dhpr."""

    pool: int = 20_000
    """Hardest blocks to choose from at most; rule dhpr."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A block to annotate."""

    index: int
    """Row of the table."""

    reason: str
    """Reason for the pick, in one line."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Blocks to annotate."""

    picks: tuple[Pick, ...]
    """Best first; those of the rule ``published`` in the order of the table."""

    candidates: int
    """Blocks that the rule chose from."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""
