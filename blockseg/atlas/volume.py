"""Atlas volumes: the region that each place belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.tiles import values_at
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.find import find
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space, Vector
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


@dataclass(frozen=True, slots=True)
class Box:
    """A box in space."""

    start: Vector
    """Lower corner (z, y, x), in µm."""

    stop: Vector
    """Upper corner."""

    @classmethod
    def of(cls, shape: Zyx, space: Space) -> Box:
        """Return the box that the voxels of a volume fill, half voxels included.

        Parameters
        ----------
        shape, space
            Of the volume.
        """
        pairs = list(zip(shape, space.voxel_size, space.translation, strict=True))
        z, y, x = (t - s / 2 for _, s, t in pairs)
        dz, dy, dx = (t - s / 2 + n * s for n, s, t in pairs)
        return cls((z, y, x), (dz, dy, dx))

    @property
    def extent(self) -> Vector:
        """Edge lengths (z, y, x), in µm."""
        z, y, x = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return (z, y, x)

    @property
    def volume(self) -> float:
        """Volume, in µm³."""
        return float(np.prod(self.extent))

    def overlaps(self, other: Box) -> bool:
        """Return whether two boxes have any volume in common."""
        return all(
            max(a, c) < min(b, d)
            for a, b, c, d in zip(
                self.start, self.stop, other.start, other.stop, strict=True
            )
        )

    def __str__(self) -> str:
        return ", ".join(
            f"{a:g} to {b:g}" for a, b in zip(self.start, self.stop, strict=True)
        )


@dataclass(frozen=True, slots=True)
class AtlasSpec:
    """An atlas that any worker can open, found by :func:`find_atlas`."""

    source: VolumeSpec
    """Volume of region ids; 0 is outside all regions."""

    shape: Zyx
    """Its voxels along (z, y, x)."""

    space: Space
    """Its voxel size and place, in µm."""

    dtype: str
    """Its type: whole numbers."""

    @property
    def box(self) -> Box:
        """Box that it fills."""
        return Box.of(self.shape, self.space)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel, in µm³."""
        return float(np.prod(self.space.voxel_size))

    @property
    def placed(self) -> bool:
        """Whether its format states where it lies."""
        return self.source.format != "tiff"

    def at(self, corner: Vector) -> AtlasSpec:
        """Return the atlas with its lower corner (z, y, x) there, in µm."""
        z, y, x = (
            a + s / 2 for a, s in zip(corner, self.space.voxel_size, strict=True)
        )
        return replace(self, space=replace(self.space, translation=(z, y, x)))

    def open(self, cache_bytes: int | None = None) -> Atlas:
        """Open it in this process.

        Parameters
        ----------
        cache_bytes
            Bytes of decoded chunks to keep; a default if not given.
        """
        limits = ReadLimits() if cache_bytes is None else ReadLimits(cache_bytes)
        return Atlas(self, open_volume(self.source, limits))

    def voxels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places in voxels: k is the centre of voxel k.

        Parameters
        ----------
        points
            (n, 3), (z, y, x), in µm of the atlas.
        """
        return (points - self.space.translation) / self.space.voxel_size

    def said(self, region: int) -> int:
        """Return the id of a region as stored in the atlas.

        Ids are 64-bit and signed in here; of an atlas of uint64 the largest ones are
        negative.
        """
        return region % 2**64 if self.dtype == "uint64" else region

    def kept(self, region: int) -> int | None:
        """Return the internal number of an id of the atlas; None if there is no such id."""
        low, high = (0, 2**64) if self.dtype == "uint64" else (-(2**63), 2**63)
        if not low <= region < high:
            return None
        return region if region < 2**63 else region - 2**64


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """An open atlas."""

    spec: AtlasSpec
    """Where it lies."""

    volume: Volume
    """Its ids."""

    def read(self, roi: Roi) -> NDArray[np.int64]:
        """Return the ids of a box of its voxels."""
        return self.volume.read(roi).astype(np.int64)

    def at_voxels(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids of voxels (n, 3); 0 beyond the atlas."""
        return values_at(self.volume, voxels).astype(np.int64)

    def at(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the ids at places (n, 3) in µm of the atlas; 0 beyond it."""
        return self.at_voxels(nearest(self.spec.voxels(points)))

    def along(
        self, axes: tuple[NDArray[np.float64], ...]
    ) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], ...]]:
        """Return the ids that a block of voxels parallel to the axes lies in.

        Parameters
        ----------
        axes
            Centres of the block's voxels along z, y and x, in µm of the atlas.

        Returns
        -------
        ids : (z, y, x)
            Of the box of atlas voxels that the block reaches, with a margin of 0 where it
            reaches beyond the atlas.
        index : three arrays
            Which plane, row and column of ``ids`` each voxel of the block lies in.
        """
        voxels = [
            nearest((p - t) / s)
            for p, t, s in zip(
                axes,
                self.spec.space.translation,
                self.spec.space.voxel_size,
                strict=True,
            )
        ]
        low = [int(v.min()) for v in voxels]
        high = [int(v.max()) + 1 for v in voxels]
        shape = self.volume.shape
        start = to_zyx(min(max(a, 0), n) for a, n in zip(low, shape, strict=True))
        stop = to_zyx(
            max(a, min(b, n)) for a, b, n in zip(start, high, shape, strict=True)
        )
        box = Roi(start, stop)
        ids = np.zeros([n + 1 for n in box.shape], np.int64)
        if box.size:
            ids[tuple(slice(n) for n in box.shape)] = self.read(box)
        index = tuple(
            np.where((v >= a) & (v < b), v - a, b - a)
            for v, a, b in zip(voxels, box.start, box.stop, strict=True)
        )
        return ids, index


def nearest(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the voxels that places in voxels lie in; voxel k reaches from k − ½ to k + ½."""
    return np.floor(places + 0.5).astype(np.int64)


def find_atlas(uri: str, voxel_size: Vector | None) -> AtlasSpec:
    """Find an atlas and check that it is one.

    Parameters
    ----------
    uri
        Any volume that blockseg opens, of whole numbers.
    voxel_size
        Edge lengths of a voxel (z, y, x) in µm; None to go by its metadata.

    Raises
    ------
    ConfigError
        If its voxel size is not known.
    VolumeError
        If it cannot be opened, or holds no ids.
    """
    try:
        spec = find(uri, mask=True)
        volume = open_volume(spec)
    except VolumeError as error:
        message = f"--atlas: {error}"
        raise VolumeError(message) from error
    if volume.dtype.kind not in "iu":
        message = (
            f"--atlas: {uri} holds {volume.dtype.name} voxels and no ids of regions; give "
            "the annotation of the atlas, whole numbers, and not its template"
        )
        raise VolumeError(message)
    space = volume.space
    if voxel_size is not None:
        space = space.measured(voxel_size)
    elif space.unit is None or space.problem:
        why = space.problem or "it states no voxel size in a unit of length"
        message = f"--atlas {uri}: {why}; give --atlas-voxel-size Z,Y,X in µm"
        raise ConfigError(message)
    return AtlasSpec(spec, volume.shape, space, volume.dtype.name)
