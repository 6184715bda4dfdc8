"""Deformation fields: the place in an atlas of each voxel of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.tiles import by_tile
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.atlas.affine import AffineMap
    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


FIELD_CACHE = 3 * 2**26
"""Bytes of decoded chunks that an open field keeps."""


@dataclass(frozen=True, slots=True)
class DeformationField:
    """A field of places on a lattice over the sample, linear between its voxels.

    Beyond its outermost voxel centres it goes on as at its border.
    """

    components: tuple[VolumeSpec, VolumeSpec, VolumeSpec]
    """Volumes of one shape that hold the three coordinates of a place."""

    shape: Zyx
    """Their voxels."""

    lattice: AffineMap
    """From µm of the sample to voxels of the field: k is the centre of voxel k."""

    result: AffineMap
    """From what the field holds to µm of the atlas."""

    step: float
    """Length in µm of the sample over which it is taken for straight: half an edge of its
    shortest voxel."""

    def open(self) -> OpenDeformation:
        """Open it in this process."""
        limits = ReadLimits(FIELD_CACHE // 3)
        return OpenDeformation(
            self, tuple(open_volume(spec, limits) for spec in self.components)
        )


@dataclass(frozen=True, slots=True, eq=False)
class OpenDeformation:
    """An open deformation field."""

    spec: DeformationField
    """Its description."""

    volumes: tuple[Volume, ...]
    """Its components."""

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places in the atlas of places in the sample.

        Parameters
        ----------
        points
            (n, 3), (z, y, x), in µm of the sample.

        Returns
        -------
        (n, 3) array
            In µm of the atlas.
        """
        at = self.spec.lattice(points)
        shape = np.array(self.spec.shape)
        # A lattice of one voxel has no cell: what it holds is true everywhere.
        base = np.clip(np.floor(at), 0, np.maximum(shape - 2, 0)).astype(np.int64)
        weight = np.where(shape > 1, at - base, 0.0)
        out = np.empty((len(points), 3))
        for number, volume in enumerate(self.volumes):
            for rows, values, corner in by_tile(volume, base, beyond=1):
                out[rows, number] = _between(
                    values.astype(np.float64), base[rows] - corner, weight[rows]
                )
        return self.spec.result(out)


def _between(
    values: NDArray[np.float64],
    base: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return values between voxels, linear along each axis."""
    last = np.array(values.shape) - 1
    z, y, x = base.T
    dz, dy, dx = np.minimum(base + 1, last).T
    a, b, c = weight.T
    rows = []
    for plane in (z, dz):
        lines = [
            values[plane, row, x] * (1 - c) + values[plane, row, dx] * c
            for row in (y, dy)
        ]
        rows.append(lines[0] * (1 - b) + lines[1] * b)
    return np.asarray(rows[0] * (1 - a) + rows[1] * a)


def cell_volumes(
    corners: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres and volumes of the cells of a deformed lattice.

    Parameters
    ----------
    corners
        Where the corners of cells lie, (z + 1, y + 1, x + 1, 3).

    Returns
    -------
    centres : (n, 3)
        Means of their eight corners, in C order.
    volumes : (n,)
        Of the parallelepipeds of their mean edges; exact where the map is affine.
    """
    part = [slice(None, -1), slice(1, None)]
    eight = np.array(
        [[[corners[part[z], part[y], part[x]] for x in (0, 1)] for y in (0, 1)]
         for z in (0, 1)]
    )  # fmt: skip
    edges = [eight.take(1, axis=k).mean((0, 1)) - eight.take(0, axis=k).mean((0, 1))
             for k in range(3)]  # fmt: skip
    jacobian = np.stack(edges, axis=-1).reshape(-1, 3, 3)
    volumes = np.abs(np.linalg.det(jacobian))
    centres = eight.mean((0, 1, 2)).reshape(-1, 3)
    return centres, volumes
