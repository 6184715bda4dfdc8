"""Decision which flat regions of a volume are holes, piece by piece."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.cubes import box_around, by_cube, cube_box, spread
from blockseg.core.geometry import Roi, floor_to, pieces, tiles, to_zyx
from blockseg.io.holes.faces import AROUND, PIECE, along_axes, face_counts
from blockseg.io.holes.flat import SQUARE, flat_voxels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.holes import HoleRule
    from blockseg.io.protocol import Volume

_TOGETHER = 128  # voxels along what is judged at a time
_COUNTS = 512  # pieces of which faces are kept, 12 KiB each
_VERDICTS = 128  # pieces of which verdicts are kept, 256 KiB each
_WINDOWS = (1, 2, 4, 8)  # squares around one whose faces tell, the nearest first
_ENOUGH = 16  # faces of voxels that tell


class HoleJudge:
    """Judges flat regions of one volume.

    A face is straight if it is part of a square of faces, and ragged if not; and soft if
    the voxel beyond is nearly as bright, or as dark. Flat voxels are a hole if at least
    half of the faces around them are straight, and a quarter soft at most: those nearest
    to the cube of :data:`SQUARE` voxels, at multiples of it, that they lie in. Where there
    are none within 64 voxels it is not known what they are, and they are left alone.

    Where a lost plane meets the outside of a brain, the plane alone is a hole. So a voxel
    that sees ragged faces along axes, and none but those, is no hole; and one that lies
    between two straight ones is, if a quarter of those around are straight.

    Parameters
    ----------
    volume
        What is on disk.
    rule
        Which grey levels count.
    """

    def __init__(self, volume: Volume, rule: HoleRule) -> None:
        self._volume = volume
        self._rule = rule
        self._counts = lru_cache(_COUNTS)(self._count)
        self._verdicts = lru_cache(_VERDICTS)(self._judge)

    def holes(self, flat: NDArray[np.bool_], roi: Roi) -> NDArray[np.bool_]:
        """Return which voxels (z, y, x) of a region, of those that are flat, are a hole."""
        hole = np.zeros(flat.shape, bool)
        for piece in pieces(roi, _TOGETHER):
            at = piece.slices(roi.start)
            if flat[at].any():
                start = to_zyx(floor_to(n, _TOGETHER) for n in piece.start)
                judged = self._verdicts(start)
                bits = np.unpackbits(judged).view(bool).reshape((_TOGETHER,) * 3)
                hole[at] = bits[piece.slices(start)]
        return hole

    def _judge(self, start: Zyx) -> NDArray[np.uint8]:
        """Return which voxels of a piece are a hole, one bit each."""
        whole = Roi.whole(self._volume.shape)
        piece = Roi.whole((_TOGETHER,) * 3).shifted(start).intersection(whole)
        hole = np.zeros((_TOGETHER,) * 3, bool)
        flat = self._flat(piece)
        if flat is not None:
            some, most = self._near(flat, piece)
            likely = flat & some
            if likely.any():
                box = box_around(likely, start)
                at = box.slices(start)
                wide = box.grown((AROUND,) * 3).intersection(whole)
                beyond = self._flat(wide)
                if beyond is not None:
                    between, against = along_axes(beyond, box.slices(wide.start))
                    hole[at] = flat[at] & ((between & some[at]) | (most[at] & ~against))
        return np.packbits(hole)

    def _flat(self, roi: Roi) -> NDArray[np.bool_] | None:
        wide = roi.grown((SQUARE,) * 3).intersection(Roi.whole(self._volume.shape))
        flat = flat_voxels(self._volume.read(wide), self._rule)
        if flat is None or not flat[roi.slices(wide.start)].any():
            return None
        return flat[roi.slices(wide.start)]

    def _near(
        self, flat: NDArray[np.bool_], roi: Roi
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where a quarter, and where half, of the faces around are straight."""
        cubes = cube_box(roi, SQUARE)
        open_cubes = by_cube(flat, roi, SQUARE)
        some, most = np.zeros(cubes.shape, bool), np.zeros(cubes.shape, bool)
        for window in _WINDOWS:
            if not open_cubes.any():
                break
            at = np.argwhere(open_cubes)
            box = Roi(to_zyx(at.min(0)), to_zyx(at.max(0) + 1))
            faces, straight, soft = self._around(box.shifted(cubes.start), window)
            part = box.slices()
            told = open_cubes[part] & (faces >= _ENOUGH)
            sharp = told & (4 * soft <= faces)
            some[part] |= sharp & (4 * straight >= faces)
            most[part] |= sharp & (2 * straight >= faces)
            open_cubes[part] &= ~told
        return spread(some, cubes, roi, SQUARE), spread(most, cubes, roi, SQUARE)

    def _around(self, cubes: Roi, window: int) -> NDArray[np.int64]:
        """Return the counts of :func:`face_counts` in a window around each cube."""
        wide = cubes.grown((window,) * 3)
        found = np.zeros((3, *wide.shape), np.int64)
        count = PIECE // SQUARE
        inside = wide.intersection(cube_box(Roi.whole(self._volume.shape), SQUARE))
        for place in tiles(inside, (count,) * 3):
            piece = Roi.whole((count,) * 3).shifted(count * k for k in place)
            common = piece.intersection(inside)
            found[(slice(None), *common.slices(wide.start))] = self._counts(place)[
                (slice(None), *common.slices(piece.start))
            ]
        for axis in (1, 2, 3):
            sums = np.cumsum(np.insert(found, 0, 0, axis), axis)
            length, width = sums.shape[axis], 2 * window + 1
            found = sums.take(range(width, length), axis) - sums.take(
                range(length - width), axis
            )
        return found

    def _count(self, index: Zyx) -> NDArray[np.int64]:
        whole = Roi.whole(self._volume.shape)
        piece = Roi.whole((PIECE,) * 3).shifted(PIECE * k for k in index)
        piece = piece.intersection(whole)
        sure = piece.grown((SQUARE,) * 3).intersection(whole)
        wide = piece.grown((2 * SQUARE,) * 3).intersection(whole)
        raw = self._volume.read(wide)
        flat = flat_voxels(raw, self._rule)
        if flat is None or flat.all():
            return np.zeros((3, *(PIECE // SQUARE,) * 3), np.int64)
        at, inner = sure.slices(wide.start), piece.slices(sure.start)
        return face_counts(raw[at], flat[at], inner, self._rule.level)
