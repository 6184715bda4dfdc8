"""Components of one block by themselves, the pieces, and what is summed over each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from blockseg.morphology.tube_length import CORNERS, neighbourhood_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx

Connectivity: TypeAlias = Literal[6, 18, 26]
"""Neighbours of a voxel that belong to the same component: by faces, also by edges, also
by corners."""

PIECE = np.dtype(
    [
        ("first", "<i8"),  # number in C order, in the output, of its first voxel
        ("voxels", "<i8"),
        ("start", "<i4", 3),  # bounding box, half-open, in the output's voxels
        ("stop", "<i4", 3),
        ("places", "<i8", 3),  # sums of coordinates
        ("length", "<i8"),  # in units of tube_length.length_unit
        ("probability", "<i8"),  # sum of bytes
        ("greatest", "<i4"),  # probability byte
        ("contrast", "<i8"),  # above the background, in units of CONTRAST_UNIT
        ("snr", "<i8"),  # in units of SNR_UNIT
    ]
)
"""Row of a piece. Whole numbers alone: their sums do not depend on blocks."""

CONTRAST_UNIT = SNR_UNIT = 2.0**-12
"""Units of sums of contrast, in noise SDs of the whole volume, and of SNR."""

_LIMIT = 2.0**20  # noise SDs, beyond which a voxel's contrast is cut off


@dataclass(frozen=True, slots=True)
class Pieces:
    """Labels of a block, 0 for background, and a row for each label from 1."""

    labels: NDArray[np.uint32]
    """Axes (z, y, x)."""

    rows: NDArray[np.void]
    """Rows of :data:`PIECE`; that of label n is n - 1."""


def label_block(
    mask: NDArray[np.bool_], connectivity: Connectivity
) -> tuple[NDArray[np.uint32], int]:
    """Return labels from 1 of the components of a mask, and their count.

    Parameters
    ----------
    mask
        Axes (z, y, x).
    connectivity
        Neighbours of a voxel that belong to the same component.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.uint32), 0
    import cc3d

    # cc3d fails on some arrays that are one voxel thin along an axis.
    thin = min(mask.shape) == 1
    padded = np.pad(mask, [(0, int(thin))] * 3) if thin else mask
    labels, count = cc3d.connected_components(
        padded, connectivity=connectivity, return_N=True, out_dtype=np.uint32
    )
    z, y, x = mask.shape
    return np.ascontiguousarray(labels[:z, :y, :x]), int(count)


def measure(
    labels: NDArray[np.uint32],
    count: int,
    roi: Roi,
    shape: Zyx,
    weights: NDArray[np.int64],
    probability: NDArray[np.uint8],
    levels: tuple[NDArray[np.floating], NDArray[np.floating]] | None,
) -> NDArray[np.void]:
    """Return the rows of a block's pieces.

    Parameters
    ----------
    labels, count
        From :func:`label_block`.
    roi
        The block, in the output's voxels.
    shape
        Of the output.
    weights
        From :func:`~blockseg.morphology.tube_length.length_weights`.
    probability
        Bytes of the block.
    levels
        Contrast in noise SDs of the whole volume and SNR of each foreground voxel, in C
        order; None where the image is not looked at.
    """
    rows = np.zeros(count, PIECE)
    if not count:
        return rows
    place = np.flatnonzero(labels)
    label = labels.ravel()[place].astype(np.int64) - 1
    rest, x = np.divmod(place, labels.shape[2])
    z, y = np.divmod(rest, labels.shape[1])

    def sums(values: NDArray[np.integer]) -> NDArray[np.int64]:
        return _sums(label, values, count)

    rows["voxels"] = np.bincount(label, minlength=count)
    order = np.empty(count, np.int64)
    order[label[::-1]] = np.arange(place.size)[
        ::-1
    ]  # the last to be entered is the first
    rows["first"] = np.ravel_multi_index(
        tuple(c[order] + a for c, a in zip((z, y, x), roi.start, strict=True)), shape
    )
    for axis, (inner, origin) in enumerate(zip((z, y, x), roi.start, strict=True)):
        low, high = _extremes(label, inner, count)
        rows["start"][:, axis], rows["stop"][:, axis] = low + origin, high + origin + 1
        rows["places"][:, axis] = sums(inner) + rows["voxels"] * origin
    values = probability.ravel()[place]
    rows["probability"] = sums(values)
    rows["greatest"] = _extremes(label, values, count)[1]
    if levels is not None:
        for name, unit, level in zip(
            ("contrast", "snr"), (CONTRAST_UNIT, SNR_UNIT), levels, strict=True
        ):
            rows[name] = sums(_whole(level, unit))
    who, length = inner_lengths(_beyond(labels, roi, shape), weights)
    np.add.at(rows["length"], who - 1, length)
    return rows


def inner_lengths(
    labels: NDArray[np.integer], weights: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return lengths of neighbourhoods, each with the label of its first voxel.

    Parameters
    ----------
    labels
        Axes (z, y, x); only neighbourhoods that lie in it wholly are counted.
    weights
        From :func:`~blockseg.morphology.tube_length.length_weights`.

    Returns
    -------
    labels, lengths
        In units of the weights.
    """
    nothing = np.zeros(0, np.int64)
    if min(labels.shape) < 2:
        return nothing, nothing
    codes = neighbourhood_codes(labels != 0)
    # Most neighbourhoods with foreground are full of it, and add nothing.
    place = np.flatnonzero((weights != 0)[codes])
    code = codes.ravel()[place]
    rest, x = np.divmod(place, codes.shape[2])
    z, y = np.divmod(rest, codes.shape[1])
    base = (z * labels.shape[1] + y) * labels.shape[2] + x
    who = labels.ravel()[base + corner_steps(labels.shape)[_FIRST[code]]]
    return who.astype(np.int64), weights[code]


def corner_steps(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return how far the voxels of a neighbourhood lie behind its first, in C order."""
    return np.array(
        [(z * shape[1] + y) * shape[2] + x for z, y, x in CORNERS], np.int64
    )


_FIRST = np.array(
    [0] + [(code & -code).bit_length() - 1 for code in range(1, 256)], np.int64
)


def _beyond(labels: NDArray[np.uint32], roi: Roi, shape: Zyx) -> NDArray[np.uint32]:
    """Return labels with a plane of zeros where the output ends behind them."""
    last = [int(b == n) for b, n in zip(roi.stop, shape, strict=True)]
    return np.pad(labels, [(0, n) for n in last]) if any(last) else labels


def _extremes(
    label: NDArray[np.int64], values: NDArray[np.integer], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return least and greatest value of each label, all of which occur."""
    low, high = np.full(count, 2**62), np.zeros(count, np.int64)
    wide = values.astype(np.int64)
    np.minimum.at(low, label, wide)
    np.maximum.at(high, label, wide)
    return low, high


def _sums(
    label: NDArray[np.int64], values: NDArray[np.integer], count: int
) -> NDArray[np.int64]:
    # Floats add up whole numbers exactly below 2^53; a block has at most 2^31 voxels.
    total: NDArray[np.int64] = np.bincount(label, values, count).astype(np.int64)
    return total


def _whole(level: NDArray[np.floating], unit: float) -> NDArray[np.int64]:
    finite = np.nan_to_num(level, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT)
    whole: NDArray[np.int64] = np.rint(np.clip(finite, -_LIMIT, _LIMIT) / unit).astype(
        np.int64
    )
    return whole
