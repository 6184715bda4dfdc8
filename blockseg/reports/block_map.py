"""Map of a run's blocks, seen along z: states and amounts of foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.reports.facts import JobFacts

FAILED, MISSING, OUTSIDE = (213, 50, 40), (240, 180, 40), (125, 132, 140)
"""Colours, red, green, blue: of a failed block, of one to be written, of one that was
not asked for."""


def block_map(run: JobFacts) -> NDArray[np.uint8]:
    """Return an image with a pixel for each column of blocks, ``(y, x, 3)``.

    The worst state along z wins: failed, then missing. Else the share of foreground
    shows, from dark to yellow, on a scale of its square root.
    """
    from matplotlib import colormaps

    states = run.states.reshape(run.main.grid)
    done = states == STATE_CODES[BlockState.DONE]
    failed = states == STATE_CODES[BlockState.FAILED]
    found = run.foreground.reshape(run.main.grid).sum(axis=0).astype(np.float64)
    share = np.sqrt(found / max(found.max(), 1.0))
    drawn: NDArray[np.uint8] = colormaps["viridis"](share, bytes=True)[..., :3].copy()
    drawn[~done.any(axis=0)] = OUTSIDE
    if run.main.left:
        # Which blocks a mask leaves is not kept: only whole columns are told then.
        every = run.main.blocks == states.size
        waiting = ~(done | failed)
        drawn[waiting.any(axis=0) if every else waiting.all(axis=0)] = MISSING
    drawn[failed.any(axis=0)] = FAILED
    return drawn
