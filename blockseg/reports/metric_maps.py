"""Maps of a run's metrics, seen along z."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.dhpr.block_metrics import SHOWN
from blockseg.dhpr.metrics import DHPR_METRICS
from blockseg.reports.charts import heat
from blockseg.reports.page import address, pictures, text
from blockseg.reports.projections import binned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_SIDE = 160  # pixels of a map at most


def metric_maps(metrics: Mapping[str, NDArray[np.float32]]) -> str:
    """Return a map of each metric that says something to the eye; nothing without any.

    Parameters
    ----------
    metrics
        Values ``(z, y, x)`` by name, a voxel a cube; NaN where not known.
    """
    shown = []
    for name in SHOWN:
        values = metrics.get(name)
        if values is None or not np.isfinite(values).any():
            continue
        known = np.isfinite(values)
        count = binned(known.sum(axis=0), _SIDE)
        total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
        total = binned(total, _SIDE)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        scale = max(1, _SIDE // max(mean.shape))
        drawn = heat(mean).repeat(scale, axis=0).repeat(scale, axis=1)
        low, high = np.nanmin(mean), np.nanmax(mean)
        shown.append(
            (
                address(drawn),
                (
                    f"<b>{name}</b><br>{_brief(low)}<span class='ramp'></span>"
                    f"{_brief(high)}<br>{text(DHPR_METRICS[name].partition(';')[0])}"
                ),
            )
        )
    if not shown:
        return ""
    said = "Means along z over cubes of 64³ voxels; what is not known is left out."
    return f"<p class='soft'>{said}</p>{pictures(shown, 'small')}"


def _brief(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
