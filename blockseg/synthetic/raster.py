"""Points with radii, drawn as soft-edged balls into one tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx

_CHUNK = 2_000_000  # voxel updates at a time: bounds the memory of one call


def label_radius(radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far from the centreline a voxel counts as the neurite, in voxels.

    Annotators paint thin neurites with a half-width of one voxel and more.
    """
    return np.asarray(np.maximum(radius, 1.0) + 0.5, dtype=np.float32)


class TileIndex:
    """Find the points near a tile without looking at all of them.

    Parameters
    ----------
    position
        Points (n, 3), (z, y, x) in voxels.
    tile
        Edge length of a tile, in voxels.
    """

    def __init__(self, position: NDArray[np.float32], tile: int) -> None:
        self._tile = tile
        self._position = position
        tiles = np.floor(position / tile).astype(np.int64)
        self._low = tiles.min(axis=0) if len(tiles) else np.zeros(3, dtype=np.int64)
        span = tiles.max(axis=0) - self._low + 1 if len(tiles) else np.ones(3, int)
        self._span = span.astype(np.int64)
        key = self._key(tiles)
        self._order = np.argsort(key, kind="stable")
        self._sorted = key[self._order]

    def _key(self, tiles: NDArray[np.int64]) -> NDArray[np.int64]:
        z, y, x = np.moveaxis(tiles - self._low, -1, 0)
        return np.asarray((z * self._span[1] + y) * self._span[2] + x)

    def near(self, roi: Roi, reach: float) -> NDArray[np.int64]:
        """Return indices, ascending, of the points within ``reach`` voxels of ``roi``."""
        low = np.floor((np.array(roi.start) - reach) / self._tile).astype(np.int64)
        high = np.floor((np.array(roi.stop) + reach) / self._tile).astype(np.int64)
        low = np.maximum(low, self._low)
        high = np.minimum(high, self._low + self._span - 1)
        found = []
        for z in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                if low[2] > high[2]:
                    continue
                ends = self._key(np.array([(z, y, low[2]), (z, y, high[2])]))
                a, b = np.searchsorted(self._sorted, [ends[0], ends[1] + 1])
                found.append(self._order[a:b])
        if not found:
            return np.zeros(0, dtype=np.int64)
        index = np.sort(np.concatenate(found))
        place = self._position[index]
        inside = np.all(place >= np.array(roi.start) - reach, axis=1)
        inside &= np.all(place < np.array(roi.stop) + reach, axis=1)
        return index[inside]


@dataclass(frozen=True, slots=True)
class Canvas:
    """One tile being drawn: brightness, and who owns each voxel."""

    roi: Roi
    """Box that the arrays cover."""

    light: NDArray[np.float32]
    """Brightness before the point spread; the brightest ball wins."""

    dark: NDArray[np.float32]
    """Darkening before the point spread, at most 0; the darkest ball wins."""

    owner: NDArray[np.uint64]
    """Depth inside the deepest ball (upper 32 bits) and its number plus 1 (lower)."""

    @classmethod
    def blank(cls, roi: Roi) -> Canvas:
        """Return an empty canvas."""
        size = roi.size
        return cls(
            roi,
            np.zeros(size, np.float32),
            np.zeros(size, np.float32),
            np.zeros(size, np.uint64),
        )

    def draw(
        self,
        position: NDArray[np.float32],
        radius: NDArray[np.float32],
        amplitude: NDArray[np.float32],
        owner: NDArray[np.uint32] | None = None,
    ) -> None:
        """Draw balls.

        Parameters
        ----------
        position
            Centres (n, 3), (z, y, x) in voxels.
        radius, amplitude
            (n,), voxels and grey levels; a ball's edge falls off over one voxel.
        owner
            (n,), numbers to write into ``owner`` within :func:`label_radius`.
        """
        wide = radius + 0.5 if owner is None else label_radius(radius)
        reach = np.ceil(wide).astype(np.int64)
        for r in np.unique(reach):
            members = np.flatnonzero(reach == r)
            step = max(1, _CHUNK // int(2 * r + 1) ** 3)
            for i in range(0, len(members), step):
                part = members[i : i + step]
                self._draw_equal(
                    int(r),
                    position[part],
                    radius[part],
                    amplitude[part],
                    None if owner is None else owner[part],
                )

    def _draw_equal(
        self,
        reach: int,
        position: NDArray[np.float32],
        radius: NDArray[np.float32],
        amplitude: NDArray[np.float32],
        owner: NDArray[np.uint32] | None,
    ) -> None:
        shape: Zyx = self.roi.shape
        centre = np.rint(position).astype(np.int64)
        steps = np.arange(-reach, reach + 1)
        squares, index, valid = [], [], []
        for axis in range(3):
            along = centre[:, axis, None] + steps
            squares.append(
                np.square(along.astype(np.float32) - position[:, axis, None])
            )
            along -= self.roi.start[axis]
            valid.append((along >= 0) & (along < shape[axis]))
            index.append(along)
        distance = np.sqrt(
            squares[0][:, :, None, None]
            + squares[1][:, None, :, None]
            + squares[2][:, None, None, :]
        )
        keep = (
            valid[0][:, :, None, None]
            & valid[1][:, None, :, None]
            & valid[2][:, None, None, :]
        )
        r = radius[:, None, None, None]
        wide = r + 0.5 if owner is None else label_radius(r)
        keep &= distance < wide
        voxel = (
            index[0][:, :, None, None] * shape[1] + index[1][:, None, :, None]
        ) * shape[2] + index[2][:, None, None, :]
        number = np.broadcast_to(
            np.arange(len(position))[:, None, None, None], keep.shape
        )[keep]
        voxel, distance = voxel[keep], distance[keep]
        light = np.clip(radius[number] + 0.5 - distance, 0, 1) * amplitude[number]
        np.maximum.at(self.light, voxel, light)
        if (amplitude < 0).any():
            np.minimum.at(self.dark, voxel, light)
        if owner is not None:
            depth = label_radius(radius)[number] - distance
            own = depth >= 0
            key = (depth[own] * 4096).astype(np.uint64) << np.uint64(32)
            key |= owner[number[own]].astype(np.uint64) + np.uint64(1)
            np.maximum.at(self.owner, voxel[own], key)
