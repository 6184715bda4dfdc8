"""Metrics of one block, from the counts of its cubes that its report brings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.dhpr.cube_bytes import cubes_from_bytes
from blockseg.dhpr.metrics import dhpr_metrics

if TYPE_CHECKING:
    from blockseg.dhpr.grey_scale import GreyScale

SHOWN = ("density", "snr_50", "low_snr", "entropy", "fragmentation", "level", "sd")
"""Metrics of a block that say something to the eye on a map."""


@dataclass(frozen=True, slots=True)
class BlockMetrics:
    """Reader of the metrics of blocks, each as a box of all its cubes."""

    scale: GreyScale
    """Meaning of the cubes' codes; one a run."""

    predicted: bool
    """Whether F comes from a network."""

    def __call__(self, payload: bytes) -> tuple[float, ...]:
        """Return :data:`SHOWN` of a block, NaN where not known; nothing without cubes.

        Parameters
        ----------
        payload
            Of the block's report.

        Raises
        ------
        LedgerError
            If they are no counts of cubes.
        """
        if not payload:
            return ()
        table = cubes_from_bytes(payload, self.scale, predicted=self.predicted)
        if not len(table):
            return ()
        whole = replace(
            table.select(slice(0, 1)),
            sums=table.sums.sum(axis=0, keepdims=True),
            histograms=table.histograms.sum(axis=0, keepdims=True, dtype=np.int64),
        )
        found = dhpr_metrics(whole)
        return tuple(float(found[name][0]) for name in SHOWN)
