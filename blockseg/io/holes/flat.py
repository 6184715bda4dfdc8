"""Flat voxels, which may hold no data.

A voxel is flat if it lies in a square of :data:`SQUARE` voxels, across any axis, that
holds one value. Noise is not so by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, to_zyx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.holes import HoleRule

SQUARE = 8
"""Edge of the least square that is flat, in voxels."""

_STEP = SQUARE // 2  # of the lattice: every square holds a whole small square of it
_FEW = 8  # one of them in so many
_CORNERS = (
    (3, 3),
    (1, 1),
    (2, 2),
    (0, 3),
    (3, 0),
)  # of a small square, after its first
_PLANES = ((1, 2), (0, 2), (0, 1))


def flat_voxels(raw: NDArray[Any], rule: HoleRule) -> NDArray[np.bool_] | None:
    """Mark the voxels of flat squares; None if none is.

    Right :data:`SQUARE` voxels inside the region, and where it ends with the volume.

    Parameters
    ----------
    raw
        Grey levels (z, y, x).
    rule
        Which grey levels count.
    """
    bits = bits_of(raw)
    first = bits[0, 0, 0]
    constant = min(raw.shape) >= SQUARE and (bits[0] == first).all()
    if constant and (bits == first).all():
        return np.ones(raw.shape, bool) if rule.holds(raw[:1, :1, :1]).all() else None
    corners = [
        _small_squares(bits, raw, rule, axes)
        for axes in _PLANES
        if min(raw.shape[axis] for axis in axes) >= SQUARE
    ]
    places = np.concatenate(corners) if corners else np.empty((0, 3), np.int64)
    if not len(places):
        return None
    whole = Roi.whole(raw.shape)
    around = Roi(to_zyx(places.min(0)), to_zyx(places.max(0) + 1))
    at = around.grown((SQUARE,) * 3).intersection(whole).slices()
    part = bits[at]
    flat = np.zeros(part.shape, bool)
    for axes in _PLANES:
        if min(part.shape[axis] for axis in axes) >= SQUARE:
            flat |= _squares(part, *axes)
    flat &= rule.holds(raw[at])
    if not flat.any():
        return None
    found = np.zeros(raw.shape, bool)
    found[at] = flat
    return found


def maybe_flat(planes: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which planes may have flat voxels, by a few voxels a square: quick of noise.

    Parameters
    ----------
    planes
        Grey levels (n, y, x), of which each is looked at alone.
    """
    if min(planes.shape[1:]) < SQUARE:
        return np.zeros(len(planes), bool)
    bits = bits_of(planes)
    rows, columns = ((n - _STEP) // _STEP + 1 for n in planes.shape[1:])

    def each(y: int, x: int) -> NDArray[Any]:
        return bits[:, y::_STEP, x::_STEP][:, :rows, :columns]

    same = each(0, 0) == each(*_CORNERS[0])
    for y, x in _CORNERS[1:]:
        same &= each(0, 0) == each(y, x)
    return np.asarray(same.any(axis=(1, 2)))


def holes_of(missing: NDArray[np.bool_], start: Zyx) -> Iterator[tuple[Roi, int]]:
    """Yield the box around each connected region, and its voxels.

    Parameters
    ----------
    missing
        (z, y, x).
    start
        Where the first voxel lies in the volume.
    """
    from scipy.ndimage import find_objects, label

    labels, count = label(missing, np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    for box, size in zip(find_objects(labels), sizes, strict=True):
        roi = Roi(to_zyx(s.start for s in box), to_zyx(s.stop for s in box))
        yield roi.shifted(start), int(size)


def bits_of(raw: NDArray[Any]) -> NDArray[Any]:
    """Return voxels that are equal where their bits are: NaN equals NaN."""
    if raw.dtype.kind != "f":
        return raw
    return raw.view(f"i{raw.dtype.itemsize}")


def _small_squares(
    bits: NDArray[Any], raw: NDArray[Any], rule: HoleRule, axes: tuple[int, int]
) -> NDArray[np.int64]:
    """Return a box, by two corners, around flat squares of 4×4 voxels at multiples of 4.

    Every flat :data:`SQUARE` holds one of them whole. Shape (2, 3); (0, 3) if there is none.
    """
    lattice = [slice(None)] * 3
    for axis in axes:
        lattice[axis] = slice(0, raw.shape[axis] - _STEP + 1, _STEP)

    def shifted(a: int, b: int) -> NDArray[Any]:
        at = list(lattice)
        for axis, by in zip(axes, (a, b), strict=True):
            last = raw.shape[axis] - _STEP + 1 + by
            at[axis] = slice(by, last, _STEP)
        return bits[tuple(at)]

    first = shifted(0, 0)
    same = first == shifted(*_CORNERS[0])
    same &= first == shifted(
        *_CORNERS[1]
    )  # of noise, one in a hundred is left, or less
    every = (*_CORNERS[2:], *np.ndindex(_STEP, _STEP))
    if _FEW * np.count_nonzero(same) < same.size:  # as of noise: looked at one by one
        few = np.nonzero(same)
        values = first[few]
        for a, b in every:
            equal = values == shifted(a, b)[few]
            if not equal.all():
                few, values = tuple(axis[equal] for axis in few), values[equal]
        held = rule.holds(raw[tuple(lattice)][few])
        same[...] = False
        same[tuple(axis[held] for axis in few)] = True
        return _corners(same, axes)
    same &= rule.holds(raw[tuple(lattice)])
    for a, b in every:
        same &= first == shifted(a, b)
    return _corners(same, axes)


def opened(mask: NDArray[np.bool_], first: int, second: int) -> NDArray[np.bool_]:
    """Return the voxels of a mask that lie in a square of it across two axes."""
    if min(mask.shape[axis] for axis in (first, second)) < SQUARE:
        return np.zeros_like(mask)
    return _grown(_whole(mask, first, second, SQUARE), first, second)


def widened(mask: NDArray[np.bool_], first: int, second: int) -> NDArray[np.bool_]:
    """Return the voxels less than SQUARE away from a mask, across two axes."""
    grown = _grown(mask, first, second)  # by one side
    for axis in (first, second):
        grown = _running(np.logical_or, grown, axis, SQUARE)
    return grown


def _corners(mask: NDArray[np.bool_], axes: tuple[int, int]) -> NDArray[np.int64]:
    """Return the first and the last voxel along each axis of what a lattice marks."""
    ends = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not found.size:
            return np.empty((0, 3), np.int64)
        ends.append(found[[0, -1]] * (_STEP if axis in axes else 1))
    return np.stack(ends, axis=1)


def _squares(bits: NDArray[Any], first: int, second: int) -> NDArray[np.bool_]:
    """Mark the voxels of squares of one value that span two axes."""
    values = np.moveaxis(bits, (first, second), (0, 1))
    pairs = values[1:] == values[:-1]
    same = pairs[:, 1:] & pairs[:, :-1] & (values[:-1, 1:] == values[:-1, :-1])
    same = np.moveaxis(same, (0, 1), (first, second))
    return _grown(_whole(same, first, second, SQUARE - 1), first, second)


def _whole(
    mask: NDArray[np.bool_], first: int, second: int, length: int
) -> NDArray[np.bool_]:
    """Mark where squares begin that lie in the mask."""
    for axis in (first, second):
        mask = _running(np.logical_and, mask, axis, length)
    return mask


def _grown(corners: NDArray[np.bool_], first: int, second: int) -> NDArray[np.bool_]:
    """Mark the voxels of squares that begin at corners."""
    margin = [(0, 0)] * 3
    margin[first] = margin[second] = (SQUARE - 1, SQUARE - 1)
    grown = np.pad(corners, margin)
    for axis in (first, second):
        grown = _running(np.logical_or, grown, axis, SQUARE)
    return grown


def _running(
    join: Callable[..., NDArray[np.bool_]],
    values: NDArray[np.bool_],
    axis: int,
    length: int,
) -> NDArray[np.bool_]:
    """Join each run of ``length`` values along an axis."""
    have = 1
    while have < length:
        by = min(have, length - have)
        before = (slice(None),) * axis + (slice(None, -by),)
        after = (slice(None),) * axis + (slice(by, None),)
        values = join(values[before], values[after])
        have += by
    return values
