"""Map of a run's blocks, seen along z: states and amounts of foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.reports.projections import binned
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.reports.facts import JobFacts

LARGEST = 360
"""Pixels of a side at most: a page of a million blocks is as small as any."""

FAILED, MISSING, OUTSIDE = (213, 50, 40), (240, 180, 40), (125, 132, 140)
"""Colours, red, green, blue: of a failed block, of one to be written, of one that was
not asked for."""


def block_map(run: JobFacts) -> NDArray[np.uint8]:
    """Return an image ``(y, x, 3)``: a pixel for each column of blocks, or for several.

    The worst state wins: failed, then missing. Else the share of foreground shows, from
    dark to yellow, on a scale of its square root.
    """
    from matplotlib import colormaps

    states = run.states.reshape(run.main.grid)
    done = states == STATE_CODES[BlockState.DONE]
    failed = states == STATE_CODES[BlockState.FAILED]
    found = binned(
        run.foreground.reshape(run.main.grid).sum(axis=0).astype(np.float64), LARGEST
    )
    share = np.sqrt(found / max(found.max(), 1.0))
    drawn: NDArray[np.uint8] = colormaps["viridis"](share, bytes=True)[..., :3].copy()
    drawn[~_any(done.any(axis=0))] = OUTSIDE
    if run.main.left:
        # Which blocks a mask leaves is not kept: only whole columns are told then.
        every = run.main.blocks == states.size
        waiting = ~(done | failed)
        drawn[_any(waiting.any(axis=0) if every else waiting.all(axis=0))] = MISSING
    drawn[_any(failed.any(axis=0))] = FAILED
    return drawn


def _any(columns: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return binned(columns, LARGEST, np.logical_or)
