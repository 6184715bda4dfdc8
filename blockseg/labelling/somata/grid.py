"""The coarse grid on which somata are looked for, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.io.coarse_levels import coarse_levels
from blockseg.io.downsampled import covering
from blockseg.io.open import open_volume
from blockseg.morphology.blobs import BlobScales

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Vector
    from blockseg.core.specs import VolumeSpec

_VOXELS_A_RADIUS = 2.0
"""Voxels of the coarse grid that the smallest radius has, at least."""

_EDGE = 128  # coarse voxels of a block


@dataclass(frozen=True, slots=True)
class SomaGrid:
    """Means of the image over cells, in which somata are looked for."""

    volume: VolumeSpec
    """Image, averaged over cells: the coarsest level of its pyramid that is fine enough, or
    level 0, each averaged further where needed."""

    factors: Zyx
    """Voxels of the run's source along (z, y, x) that a cell covers."""

    start: Zyx
    """First voxel of the output, in voxels of the run's source."""

    blocks: BlockGrid
    """Blocks of cells, with all around them that somata in them depend on."""

    scales: BlobScales
    """Sizes that are looked for."""

    @classmethod
    def of(
        cls, run: FinishedRun, spec: VolumeSpec, radius: Sequence[float]
    ) -> SomaGrid:
        """Return the grid for a range of radii.

        Parameters
        ----------
        run
            The run.
        spec
            Image that it segmented.
        radius
            Least and greatest radius, in µm.

        Raises
        ------
        ConfigError
            If voxels are too large for somata of these radii.
        """
        low, high = radius
        size = run.space.voxel_size
        if max(size) > low:
            message = (
                f"--soma-radius {low:g},{high:g}: voxels of {max(size):g} µm are larger "
                f"than the least radius; raise it to {max(size):g} or more"
            )
            raise ConfigError(message)
        most = to_zyx(max(1, int(low / _VOXELS_A_RADIUS / s + 1e-6)) for s in size)
        volume, factors = _averaged(spec, most)
        shape = open_volume(volume).shape
        whole = run.record.roi
        start = (0, 0, 0) if whole is None else whole.start
        inside = covering(
            Roi.whole(run.grid.volume_shape).shifted(start), factors
        ).intersection(Roi.whole(shape))
        z, y, x = (s * f for s, f in zip(size, factors, strict=True))
        scales = BlobScales((z, y, x), low, high)
        edge = to_zyx(min(n, _EDGE) for n in inside.shape)
        return cls(
            volume, factors, start, BlockGrid(shape, edge, scales.halo, inside), scales
        )

    def in_source(self, place: Sequence[float]) -> Vector:
        """Return a place in voxels of the run's source, of one in cells."""
        z, y, x = (
            (p + 0.5) * f - 0.5 for p, f in zip(place, self.factors, strict=True)
        )
        return z, y, x

    def in_output(self, place: Sequence[float]) -> Vector:
        """Return a place in voxels of the output, of one in cells."""
        z, y, x = (
            p - a for p, a in zip(self.in_source(place), self.start, strict=True)
        )
        return z, y, x

    @property
    def description(self) -> str:
        """Level and cells, which decide what is found."""
        cells = ",".join(map(str, self.factors))
        return f"level {self.volume.level}, cells of {cells}"


def _averaged(spec: VolumeSpec, most: Zyx) -> tuple[VolumeSpec, Zyx]:
    """Return the image with cells of so many voxels at most, and how many they have."""
    own = spec.downsample
    chosen, coarser = spec, (1, 1, 1)
    if max(own) == 1 and not spec.stored_as:
        for level in coarse_levels(spec):
            fits = all(f <= m for f, m in zip(level.factors, most, strict=True))
            if fits and max(level.factors) >= max(coarser):
                chosen, coarser = level.spec, level.factors
    further = to_zyx(m // c for m, c in zip(most, coarser, strict=True))
    cells = to_zyx(o * f for o, f in zip(own, further, strict=True))
    factors = to_zyx(c * f for c, f in zip(coarser, further, strict=True))
    return replace(chosen, downsample=cells), factors
