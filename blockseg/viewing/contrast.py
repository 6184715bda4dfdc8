"""Contrast of an image at first sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx
from blockseg.viewing import shaders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.viewing.served_volume import ServedVolume

_AROUND = (16, 128, 128)  # voxels on either side of the place


def grey_shader(served: ServedVolume, place: Sequence[float]) -> str:
    """Return the shader of an image by which dim neurites around a place are seen.

    Black is a little below the median there, white its 99.7th percentile.

    Parameters
    ----------
    served
        The image.
    place
        Voxel of it, along (z, y, x).
    """
    volume = served.levels[0].volume
    start = to_zyx(max(int(n) - by, 0) for n, by in zip(place, _AROUND, strict=True))
    stop = to_zyx(
        min(max(int(n) + by, a + 1), length)
        for n, by, a, length in zip(place, _AROUND, start, volume.shape, strict=True)
    )
    values = volume.read(Roi(start, stop)).astype(np.float32)
    values = values[np.isfinite(values)]
    if not values.size:
        values = np.array([0, 1], np.float32)
    dark, median, bright = np.percentile(values, [5, 50, 99.7])
    low = float(dark)
    high = max(float(bright), float(median) + 3 * float(median - dark), low + 1e-6)
    room = high - low
    return shaders.GREY.format(
        low=low, high=high, least=low - 0.5 * room, most=high + 2 * room
    )
