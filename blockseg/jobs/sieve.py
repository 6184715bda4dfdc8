"""What of a block need not be inferred: outside the mask and the tissue, or empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.cubes import Gate, cube_box, spread, voxels_of
from blockseg.core.geometry import Roi, to_zyx
from blockseg.model import Wanted, evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.specs import Affine, AffineField
    from blockseg.volume import Volume

__all__ = ["Chosen", "Sieve"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What of a block is to be inferred."""

    roi: Roi
    """Box around it, inside the block."""

    wanted: Wanted
    """Which of its voxels."""

    skipped: int
    """Voxels of the block that were taken for empty."""

    nonfinite: int
    """NaN and infinite voxels of the block among those looked at."""

    read_bytes: int
    """Decoded bytes that it took to tell."""


class Sieve:
    """Applies a gate to blocks of one volume.

    Parameters
    ----------
    gate
        The run's.
    volume
        Is read where the gate has to look at voxels.
    affine
        Normalisation of the run.
    """

    def __init__(
        self, gate: Gate, volume: Volume, affine: Affine | AffineField
    ) -> None:
        self._gate = gate
        self._volume = volume
        self._affine = affine
        self._tissue = None if gate.tissue is None else gate.tissue.array()

    def choose(self, write_roi: Roi, inside: NDArray[np.bool_] | None) -> Chosen:
        """Say which voxels of a block to infer; whole cubes, however blocks lie.

        Parameters
        ----------
        write_roi
            The block.
        inside
            Where it lies inside of the user's mask; None where there is no mask.
        """
        gate, shape = self._gate, self._volume.shape
        cubes = cube_box(write_roi, gate.edge)
        keep = np.ones(cubes.shape, bool)
        if self._tissue is not None:
            keep &= self._tissue[cubes.slices()]
        if inside is not None:
            keep &= _touched(inside, cubes, write_roi, gate.edge)
        skipped = nonfinite = read = 0
        if gate.bound is not None and keep.any():
            # Whole cubes, even where the block holds a part of them only.
            looked = _around(keep, cubes)
            voxels = voxels_of(looked, shape, gate.edge)
            raw = self._volume.read(voxels)
            read = raw.nbytes
            found = evidence(raw, voxels, self._affine, shape, gate.edge)
            before = _count(keep, cubes, write_roi, gate.edge)
            keep[looked.slices(cubes.start)] &= found > gate.bound
            skipped = before - _count(keep, cubes, write_roi, gate.edge)
            nonfinite = _nonfinite(raw, voxels, write_roi)
        roi = _around(keep, cubes)
        roi = voxels_of(roi, shape, gate.edge).intersection(write_roi)
        voxels = spread(keep, cubes, roi, gate.edge)
        if inside is not None:
            voxels &= inside[roi.slices(write_roi.start)]
        return Chosen(roi, Wanted(voxels, gate.edge), skipped, nonfinite, read)

    def around(self, roi: Roi, halo: int) -> Roi:
        """Return what has to be read to infer all cubes that ``roi`` touches whole."""
        grown = roi.aligned(self._gate.edge).grown((halo,) * 3)
        return grown.intersection(Roi.whole(self._volume.shape))


def _touched(
    inside: NDArray[np.bool_], cubes: Roi, roi: Roi, edge: int
) -> NDArray[np.bool_]:
    """Return which cubes hold a voxel inside of the mask."""
    out = inside
    for axis, (a, first, count) in enumerate(
        zip(roi.start, cubes.start, cubes.shape, strict=True)
    ):
        cuts = [max((first + i) * edge - a, 0) for i in range(count)]
        out = np.logical_or.reduceat(out, cuts, axis=axis)
    return out


def _around(keep: NDArray[np.bool_], cubes: Roi) -> Roi:
    """Return the smallest box of cubes around those kept; an empty one if none is."""
    if not keep.any():
        return Roi(cubes.start, cubes.start)
    found = np.argwhere(keep)
    low, high = found.min(0), found.max(0) + 1
    return Roi(to_zyx(low), to_zyx(high)).shifted(cubes.start)


def _count(keep: NDArray[np.bool_], cubes: Roi, roi: Roi, edge: int) -> int:
    """Count the voxels of ``roi`` in cubes that are kept."""
    lengths = []
    for a, b, first, count in zip(
        roi.start, roi.stop, cubes.start, cubes.shape, strict=True
    ):
        borders = np.clip((first + np.arange(count + 1)) * edge, a, b)
        lengths.append(np.diff(borders))
    z, y, x = lengths
    return int(np.einsum("ijk,i,j,k->", keep.astype(np.int64), z, y, x))


def _nonfinite(raw: NDArray[Any], place: Roi, roi: Roi) -> int:
    if raw.dtype.kind != "f":
        return 0
    part = raw[place.intersection(roi).slices(place.start)]
    return int(part.size - np.count_nonzero(np.isfinite(part)))
