"""Values between the nodes of a coarse grid, the same for every cut of the volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import AffineField


def planes(
    field: AffineField, start: Zyx, shape: Zyx, dtype: np.dtype[Any]
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yield offset and scale ``(y, x)`` of each plane of a box of voxels.

    Trilinear between nodes, constant beyond the outermost. Each value is a function of
    its voxel's position alone, to the last bit: only elementwise arithmetic is used,
    as a matrix product may round by the shape of the box.

    Parameters
    ----------
    field
        Nodes and their values.
    start
        First voxel of the box (z, y, x), in the volume's coordinates.
    shape
        Voxels of the box along (z, y, x).
    dtype
        Of the values: float32 or float64.
    """
    grids = [np.reshape(values, field.nodes) for values in (field.offset, field.scale)]
    z, y, x = (
        _places(np.arange(a, a + n), first, step, nodes)
        for a, n, first, step, nodes in zip(
            start, shape, field.start, field.step, field.nodes, strict=True
        )
    )
    along_x = x[2].astype(dtype)
    for below, above, share in zip(*z, strict=True):
        full = []
        for grid in grids:
            plane = _between(grid[below], grid[above], share)
            rows = _between(plane[y[0]], plane[y[1]], y[2][:, None]).astype(dtype)
            full.append(_between(rows[:, x[0]], rows[:, x[1]], along_x))
        yield full[0], full[1]


def sampled(
    field: AffineField, z: npt.ArrayLike, y: npt.ArrayLike, x: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return offset and scale on a grid of places, each of shape (len(z), len(y), len(x)).

    Parameters
    ----------
    field
        Nodes and their values.
    z, y, x
        Positions along each axis, in voxels of the volume; fractions are allowed.
    """
    found = []
    for values in (field.offset, field.scale):
        grid = np.reshape(values, field.nodes)
        for axis, along in enumerate((z, y, x)):
            below, above, share = _places(
                np.asarray(along, np.float64),
                field.start[axis],
                field.step[axis],
                field.nodes[axis],
            )
            weights = share.reshape([-1 if k == axis else 1 for k in range(3)])
            grid = _between(grid.take(below, axis), grid.take(above, axis), weights)
        found.append(grid)
    return found[0], found[1]


def _places(
    voxels: npt.NDArray[Any], first: float, step: float, nodes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the nodes before and after each voxel, and its share of the way."""
    place = np.clip((voxels - first) / step, 0, nodes - 1)
    below = np.minimum(place.astype(np.int64), max(nodes - 2, 0))
    return below, np.minimum(below + 1, nodes - 1), place - below


def _between(a: npt.NDArray[Any], b: npt.NDArray[Any], share: Any) -> npt.NDArray[Any]:
    # Exactly a where both are equal: a constant field is one affine to the bit.
    difference: npt.NDArray[Any] = b - a
    difference *= share
    difference += a
    return difference
