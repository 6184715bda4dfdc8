"""The faces of flat regions: straight ones are those of holes.

Lost tiles, chunks and planes are boxes. The outside of a brain that was set to 0, what is
clipped and what is saturated are flat too, but end in steps, in noise, or softly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.io.holes.flat import SQUARE, opened, widened

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE = 64
"""Most voxels along an axis of which faces are counted together."""

AROUND = 40
"""Voxels around a region of which the faces have a say."""

_SEEN = (
    AROUND - 2 * SQUARE
)  # voxels along an axis: the rest tells whether they are straight
_STRAIGHT, _RAGGED = 1, 2
_NEARLY = 0.25  # of the way to the background; so near are flanks of what is saturated


def face_counts(
    raw: NDArray[Any],
    flat: NDArray[np.bool_],
    inner: tuple[slice, slice, slice],
    level: float,
) -> NDArray[np.int64]:
    """Count the faces between flat and other voxels, in cubes of SQUARE voxels.

    Parameters
    ----------
    raw
        Grey levels of a piece and the SQUARE voxels around it, as far as the volume goes.
    flat
        Which of them are flat.
    inner
        The piece, at most 64 voxels along an axis.
    level
        Of the background, in grey levels.

    Returns
    -------
    All faces, those that are straight, and those that are soft, of shape (3, 8, 8, 8); a
    face counts for its flat voxel.
    """
    counts = np.zeros((3, *(PIECE // SQUARE,) * 3), np.int64)
    for axis in range(3):
        for side in (-1, 1):
            faces, straight = _faces(flat, axis, side)
            at = np.nonzero(faces)
            beyond = tuple(k + side * (n == axis) for n, k in enumerate(at))
            grey, other = (raw[place].astype(np.float64) for place in (at, beyond))
            soft = np.zeros_like(faces)
            with np.errstate(invalid="ignore"):  # NaN and infinities are not near
                soft[at] = abs(other - grey) < _NEARLY * abs(grey - level)
            for row, mask in enumerate((faces, straight, soft)):
                counts[row] += _summed(mask[inner])
    return counts


def along_axes(
    flat: NDArray[np.bool_], inner: tuple[slice, slice, slice]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which voxels lie between straight faces, and which see only ragged ones.

    Up to 24 voxels away. What lies beside a straight face, in its plane, counts as straight.

    Parameters
    ----------
    flat
        A region and 40 voxels around it, as far as the volume goes.
    inner
        The region.
    """
    shape = flat[inner].shape
    between, straight, ragged = (np.zeros(shape, bool) for _ in range(3))
    for axis in range(3):
        before, after = (_seen_along(flat, inner, axis, side) for side in (-1, 1))
        bad = (before == _RAGGED) | (after == _RAGGED)
        ragged |= bad
        between |= (before == _STRAIGHT) & (after == _STRAIGHT)
        straight |= ((before == _STRAIGHT) | (after == _STRAIGHT)) & ~bad
    return between, ragged & ~straight


def _seen_along(
    flat: NDArray[np.bool_], inner: tuple[slice, slice, slice], axis: int, side: int
) -> NDArray[np.uint8]:
    """Return which kind of face each voxel sees along an axis, within 24 voxels."""
    every, even = _faces(flat, axis, side)
    if even.any():
        first, second = (k for k in range(3) if k != axis)
        even = every & widened(even, first, second)
    lines = tuple(slice(None) if k == axis else part for k, part in enumerate(inner))
    faces, straight = (np.moveaxis(mask[lines], axis, 0) for mask in (every, even))
    first, last = inner[axis].start, inner[axis].stop
    out = np.empty((last - first, *faces.shape[1:]), np.uint8)
    kind = np.zeros(faces.shape[1:], np.uint8)
    age = np.zeros(faces.shape[1:], np.uint8)
    order = range(last) if side < 0 else range(len(faces) - 1, first - 1, -1)
    for k in order:
        age = np.minimum(age + 1, _SEEN + 1).astype(np.uint8)
        here = faces[k]
        age[here] = 0
        kind = np.where(here, np.where(straight[k], _STRAIGHT, _RAGGED), kind)
        if first <= k < last:
            out[k - first] = np.where(age < _SEEN, kind, 0)
    return np.moveaxis(out, 0, axis)


def _faces(
    flat: NDArray[np.bool_], axis: int, side: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark flat voxels with a face on one side, and those of straight faces."""
    beyond = np.roll(flat, -side, axis)
    end = [slice(None)] * 3
    end[axis] = slice(-1, None) if side > 0 else slice(0, 1)
    beyond[tuple(end)] = True  # the volume's end is no face
    faces = flat & ~beyond
    if not faces.any():
        return faces, faces
    first, second = (k for k in range(3) if k != axis)
    return faces, opened(faces, first, second)


def straight_share(flat: NDArray[np.bool_]) -> float:
    """Return the share of straight faces in a plane (y, x), where lines are straight.

    0 where there is no face.
    """
    straight = faces = 0
    for axis in (0, 1):
        across = np.moveaxis(flat, axis, 0)
        for border in (across[1:] & ~across[:-1], across[:-1] & ~across[1:]):
            # Lines as squares: each is repeated across a third axis.
            lines = np.broadcast_to(border, (SQUARE, *border.shape))
            straight += int(np.count_nonzero(opened(lines, 0, 2)[0]))
            faces += int(np.count_nonzero(border))
    return straight / faces if faces else 0.0


def _summed(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    full = np.zeros((PIECE,) * 3, bool)
    full[tuple(slice(n) for n in mask.shape)] = mask
    count = PIECE // SQUARE
    if not full.any():
        return np.zeros((count,) * 3, np.int64)
    # Along the slowest axis first: whole rows are added, and little is left.
    sums = full.view(np.uint8).reshape(count, SQUARE, PIECE, PIECE).sum(1, np.uint8)
    sums = sums.reshape(count, count, SQUARE, PIECE).sum(2, np.uint8)
    return np.asarray(sums.reshape((count,) * 3 + (SQUARE,)).sum(3, np.int64))
