"""Voxels, volumes and objects of regions, counted box by box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.deformation import cell_volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.atlas.transform import Mapped
    from blockseg.atlas.volume import Atlas, AtlasSpec, Box
    from blockseg.core.geometry import Roi, Zyx


@dataclass(frozen=True, slots=True, eq=False)
class Volumes:
    """Size of regions."""

    region: NDArray[np.int64]
    """Ids, (n,), rising, each once."""

    voxels: NDArray[np.int64]
    """Voxels of the atlas that each has, (n,)."""

    imaged: NDArray[np.float64]
    """Volume in µm³ of each that was imaged, (n,)."""

    @classmethod
    def sum(cls, parts: Sequence[Volumes]) -> Volumes:
        """Return the volumes of several parts together."""
        if not parts:
            nothing = np.zeros(0, np.int64)
            return cls(nothing, nothing, np.zeros(0))
        region, which = np.unique(
            np.concatenate([part.region for part in parts]), return_inverse=True
        )
        voxels = np.zeros(len(region), np.int64)
        imaged = np.zeros(len(region))
        np.add.at(voxels, which, np.concatenate([part.voxels for part in parts]))
        np.add.at(imaged, which, np.concatenate([part.imaged for part in parts]))
        return cls(region, voxels, imaged)

    def to_bytes(self) -> bytes:
        """Return them as bytes, little-endian."""
        return b"".join(
            [
                self.region.astype("<i8").tobytes(),
                self.voxels.astype("<i8").tobytes(),
                self.imaged.astype("<f8").tobytes(),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Volumes:
        """Return what :meth:`to_bytes` wrote."""
        third = len(data) // 3
        whole = np.frombuffer(data[: 2 * third], "<i8").astype(np.int64).reshape(2, -1)
        imaged = np.frombuffer(data[2 * third :], "<f8").astype(np.float64)
        return cls(whole[0], whole[1], imaged)


def atlas_volumes(atlas: Atlas, box: Roi, image: Box | None) -> Volumes:
    """Return the sizes of the regions in a box of the atlas.

    Parameters
    ----------
    atlas
        The regions.
    box
        In its voxels.
    image
        What was imaged, in µm of the atlas: of voxels at its border their part counts.
        None to leave the volume that was imaged at 0.
    """
    ids = atlas.read(box)
    region, which = np.unique(ids, return_inverse=True)
    voxels = np.bincount(which.ravel(), minlength=len(region))
    imaged: NDArray[np.float64] = np.zeros(len(region))
    if image is not None:
        z, y, x = (
            _inside(axis, atlas.spec, box, image) * atlas.spec.space.voxel_size[axis]
            for axis in range(3)
        )
        weight = z[:, None, None] * y[:, None] * x
        imaged = np.bincount(which.ravel(), weight.ravel(), len(region)).astype(float)
    return Volumes(region, voxels.astype(np.int64), imaged)


def _inside(axis: int, atlas: AtlasSpec, box: Roi, image: Box) -> NDArray[np.float64]:
    """Return which share of each atlas voxel lies in the image, along an axis."""
    size, first = atlas.space.voxel_size[axis], atlas.space.translation[axis]
    centre = first + size * np.arange(box.start[axis], box.stop[axis])
    low = np.maximum(centre - size / 2, image.start[axis])
    high = np.minimum(centre + size / 2, image.stop[axis])
    return np.asarray(np.clip((high - low) / size, 0, 1))


def lattice_shape(image: Box, step: float) -> Zyx:
    """Return how many cells of at most ``step`` µm a box is cut into, along each axis."""
    z, y, x = (max(1, int(np.ceil(n / step - 1e-9))) for n in image.extent)
    return (z, y, x)


def imaged_volumes(
    atlas: Atlas, mapped: Mapped, image: Box, shape: Zyx, part: Roi
) -> Volumes:
    """Return the volume of regions that a part of the sample covers in the atlas.

    Each cell of a lattice over the sample is taken to the atlas; its volume there goes to
    the region that its centre lies in.

    Parameters
    ----------
    atlas
        The regions.
    mapped
        Way from the sample to the atlas.
    image
        What was imaged, in µm of the sample.
    shape
        Cells of the lattice that it is cut into.
    part
        Those of these cells that count.
    """
    axes = [
        image.start[k] + image.extent[k] * np.arange(a, b + 1) / shape[k]
        for k, (a, b) in enumerate(zip(part.start, part.stop, strict=True))
    ]
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    there = mapped(corners.reshape(-1, 3)).reshape(corners.shape)
    centres, volumes = cell_volumes(there)
    region, which = np.unique(atlas.at(centres), return_inverse=True)
    imaged = np.bincount(which.ravel(), volumes, len(region)).astype(np.float64)
    return Volumes(region, np.zeros(len(region), np.int64), imaged)


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """Foreground voxels and objects of regions."""

    region: NDArray[np.int64]
    """Region of each pair, (n,)."""

    item: NDArray[np.int64]
    """Object of each pair, (n,); pairs are rising, each once."""

    voxels: NDArray[np.int64]
    """Voxels that the object has in the region, (n,)."""

    @classmethod
    def sum(cls, parts: Sequence[Foreground]) -> Foreground:
        """Return the counts of several parts together."""
        if not parts:
            nothing = np.zeros(0, np.int64)
            return cls(nothing, nothing, nothing)
        region = np.concatenate([part.region for part in parts])
        item = np.concatenate([part.item for part in parts])
        voxels = np.concatenate([part.voxels for part in parts])
        return _paired(region, item, voxels)

    def to_bytes(self) -> bytes:
        """Return them as bytes, little-endian."""
        table = np.stack([self.region, self.item, self.voxels])
        return table.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Foreground:
        """Return what :meth:`to_bytes` wrote."""
        region, item, voxels = (
            np.frombuffer(data, "<i8").astype(np.int64).reshape(3, -1)
        )
        return cls(region, item, voxels)


def foreground_of(regions: NDArray[np.int64], items: NDArray[np.integer]) -> Foreground:
    """Count voxels by region and object.

    Parameters
    ----------
    regions, items
        Region and object of each foreground voxel, (n,).
    """
    return _paired(regions, items.astype(np.int64), np.ones(len(regions), np.int64))


def _paired(
    region: NDArray[np.int64], item: NDArray[np.int64], voxels: NDArray[np.int64]
) -> Foreground:
    order = np.lexsort((item, region))
    region, item, voxels = region[order], item[order], voxels[order]
    if not len(region):
        return Foreground(region, item, voxels)
    new = np.append(True, (region[1:] != region[:-1]) | (item[1:] != item[:-1]))
    first = np.flatnonzero(new)
    return Foreground(region[first], item[first], np.add.reduceat(voxels, first))
