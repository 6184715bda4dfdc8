"""Findings of the network in one cube of a survey, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.cubes import TILE, by_cube, cube_box
from blockseg.inference.components import long_components
from blockseg.inference.skip_calibration import Inferred

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx


def what_it_holds(
    foreground: NDArray[np.bool_],
    cube: Roi,
    volume_shape: Zyx,
    value: float,
    near: NDArray[np.float32] | None,
    stratum: int,
) -> Inferred:
    """Count what the network found in a cube.

    Parameters
    ----------
    foreground
        What it found (z, y, x).
    cube
        Its place, as far as the volume goes.
    volume_shape
        Voxels along (z, y, x).
    value
        Score of the cube.
    near
        Of each of its tiles (z, y, x); None where the cube has none.
    stratum
        That it was drawn from.
    """
    neurites, specks = long_components(foreground, cube, volume_shape)
    tiles = cube_box(cube, TILE)
    if near is None:
        near = np.full(tiles.shape, value, np.float32)
    held, small = (
        by_cube(mask.astype(np.int64), cube, TILE, np.add)
        for mask in (neurites > 0, specks)
    )
    there = np.nonzero(neurites)
    beside = near[
        tuple(
            (axis + a) // TILE - b
            for axis, a, b in zip(there, cube.start, tiles.start, strict=True)
        )
    ]
    shown = np.full(int(neurites.max(initial=0)) + 1, -np.inf)
    np.maximum.at(shown, neurites[there], beside)
    some = (held > 0) | (small > 0)
    return Inferred(
        value,
        near[some],
        held[some],
        small[some],
        stratum,
        float(shown[np.unique(neurites[there])].min(initial=np.inf)),
    )
