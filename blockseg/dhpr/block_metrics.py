"""Metrics of one block, from the counts of its cubes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.dhpr.metrics import dhpr_metrics

if TYPE_CHECKING:
    from blockseg.dhpr.cubes import CubeTable

SHOWN = ("density", "snr_50", "low_snr", "entropy", "fragmentation", "level", "sd")
"""Metrics of a block that say something to the eye on a map."""


def block_metrics(cubes: CubeTable) -> tuple[float, ...]:
    """Return :data:`SHOWN` of a block, NaN where not known; nothing without cubes.

    Parameters
    ----------
    cubes
        All cubes of the block; its metrics are those of the box of them.
    """
    if not len(cubes):
        return ()
    box = replace(
        cubes.select(slice(0, 1)),
        sums=cubes.sums.sum(axis=0, keepdims=True),
        histograms=cubes.histograms.sum(axis=0, keepdims=True, dtype=np.int64),
    )
    found = dhpr_metrics(box)
    return tuple(float(found[name][0]) for name in SHOWN)
