"""Levels of empty blocks, which are not computed: there is nothing to reduce."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.blocks import BlockReport, BlockState
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.task import Phase
    from blockseg.runtime.ledger.ledger import Ledger


def empty_reports(
    ledger: Ledger,
    main: Phase,
    candidates: NDArray[np.int64],
    coarse: Phase,
    pending: NDArray[np.int64],
) -> list[BlockReport]:
    """Return the reports of coarse blocks above blocks that are all empty.

    Parameters
    ----------
    ledger
        Of the run; every block of the main pass is done or given up.
    main
        That pass.
    candidates
        Ids of its blocks that were to be done; all others are empty.
    coarse
        A pass over one level of an image of the main pass.
    pending
        Ids of its blocks that are not done.

    Returns
    -------
    list
        None for images of which the ledger does not know what is empty.
    """
    (target,) = coarse.stored or (None,)
    told_by = [
        stored.column
        for stored in main.stored
        if target is not None and stored.pyramid == target.pyramid and stored.column
    ]
    if target is None or not told_by:
        return []
    count = len(main.grid)
    occupied = np.zeros(count, bool)
    # What was given up may have left something behind.
    done = ledger.states(main.name, count) == STATE_CODES[BlockState.DONE]
    occupied[candidates] = ~done[candidates]
    occupied |= ledger.column(main.name, told_by[0], count) > 0
    occupied = occupied.reshape(main.grid.counts)
    found = []
    for block_id in pending.tolist():
        roi = coarse.grid.numbered(block_id).write_roi
        below = tuple(
            slice((a << target.level) // n, -(-(b << target.level) // n))
            for a, b, n in zip(roi.start, roi.stop, main.grid.block_shape, strict=True)
        )
        if not occupied[below].any():
            found.append(BlockReport(block_id, written=roi.size))
    return found
