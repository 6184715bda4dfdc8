"""Pieces, the components within one block, and sums over each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

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

_UNITS = {"contrast": CONTRAST_UNIT, "snr": SNR_UNIT}
_FULL = np.uint8(255)  # code of a neighbourhood that adds no length
_LIMIT = 2.0**20  # noise SDs, beyond which a voxel's contrast is cut off


@dataclass(frozen=True, slots=True)
class Pieces:
    """Components of one block, and their voxels as runs along x, in C order."""

    labels: NDArray[np.uint32]
    """Axes (z, y, x): from 1, 0 for background."""

    count: int
    """Number of pieces."""

    start: NDArray[np.int64]
    """(n,), C-order number in the block of the first voxel of each run."""

    length: NDArray[np.int64]
    """(n,), voxels of each run."""

    label: NDArray[np.int64]
    """(n,), label of each run."""

    def places(self) -> NDArray[np.int64]:
        """Return the C-order number in the block of each foreground voxel."""
        ends = np.cumsum(self.length)
        total = int(ends[-1]) if self.count else 0
        ahead = np.repeat(self.start - (ends - self.length), self.length)
        places: NDArray[np.int64] = np.arange(total) + ahead
        return places

    def painted(
        self, values: NDArray[np.generic], places: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Return the block with a value for each piece, 0 in the background.

        Parameters
        ----------
        values
            (count,), that of label n is n - 1.
        places
            From :meth:`places`.
        """
        out = np.zeros(self.labels.size, values.dtype)
        out[places] = np.repeat(values[self.label - 1], self.length)
        return out.reshape(self.labels.shape)


def label_block(mask: NDArray[np.bool_], connectivity: Connectivity) -> Pieces:
    """Return the components of a mask.

    Parameters
    ----------
    mask
        Axes (z, y, x).
    connectivity
        Neighbours of a voxel that belong to the same component.
    """
    if not mask.any():
        none = np.zeros(0, np.int64)
        return Pieces(np.zeros(mask.shape, np.uint32), 0, none, none, none)
    import cc3d

    # cc3d fails on some arrays that are one voxel thin along an axis.
    thin = min(mask.shape) == 1
    padded = np.pad(mask, [(0, int(thin))] * 3) if thin else mask
    labels, count = cc3d.connected_components(
        padded, connectivity=connectivity, return_N=True, out_dtype=np.uint32
    )
    z, y, x = mask.shape
    own = np.ascontiguousarray(labels[:z, :y, :x], np.uint32)
    start, length = _runs(mask)
    label = own.ravel()[start].astype(np.int64)
    return Pieces(own, int(count), start, length, label)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first voxels and lengths of the runs of a mask along x, in C order."""
    flat = np.ascontiguousarray(mask).ravel()
    change = np.empty(flat.size + 1, bool)
    change[0], change[-1] = flat[0], flat[-1]
    np.not_equal(flat[1:], flat[:-1], out=change[1:-1])
    edges = np.flatnonzero(change)
    rows = flat.reshape(-1, mask.shape[2])
    # Two runs that meet at the end of a row are one until here.
    across = (np.flatnonzero(rows[:-1, -1] & rows[1:, 0]) + 1) * mask.shape[2]
    start, stop = edges[::2], edges[1::2]
    if len(across):
        start, stop = (np.sort(np.r_[e, across]) for e in (start, stop))
    return start, stop - start


def measure(
    pieces: Pieces,
    roi: Roi,
    shape: Zyx,
    weights: NDArray[np.int64],
    probability: NDArray[np.uint8],
    levels: tuple[NDArray[np.floating], NDArray[np.floating]] | None,
) -> NDArray[np.void]:
    """Return the rows of a block's pieces, of :data:`PIECE`; that of label n is n - 1.

    Parameters
    ----------
    pieces
        From :func:`label_block`.
    roi
        The block, in the output's voxels.
    shape
        Of the output.
    weights
        From :func:`~blockseg.morphology.tube_length.length_weights`.
    probability
        Bytes of the block, (z, y, x).
    levels
        Contrast in noise SDs of the whole volume and SNR of each foreground voxel, in C
        order; None where the image is not looked at.
    """
    rows = np.zeros(pieces.count, PIECE)
    if not pieces.count:
        return rows
    # Runs by piece; those of a piece stay in C order.
    order = np.argsort(pieces.label, kind="stable")
    first = np.searchsorted(pieces.label[order], np.arange(1, pieces.count + 1))
    start, length = pieces.start, pieces.length
    rest, x = np.divmod(start, roi.shape[2])
    z, y = np.divmod(rest, roi.shape[1])

    def of_pieces(combine: np.ufunc, of_runs: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(combine.reduceat(of_runs[order], first))

    voxels = of_pieces(np.add, length)
    rows["voxels"] = voxels
    begin = order[first]
    corner = zip((z, y, x), roi.start, strict=True)
    rows["first"] = np.ravel_multi_index(tuple(c[begin] + a for c, a in corner), shape)
    last = x + length - 1
    sums = (z * length, y * length, (x + last) * length // 2)
    for axis, (low, high) in enumerate(((z, z), (y, y), (x, last))):
        origin = roi.start[axis]
        rows["start"][:, axis] = of_pieces(np.minimum, low) + origin
        rows["stop"][:, axis] = of_pieces(np.maximum, high) + origin + 1
        rows["places"][:, axis] = of_pieces(np.add, sums[axis]) + voxels * origin
    begins = np.cumsum(length) - length
    values = probability.ravel()[pieces.places()]
    total = np.add.reduceat(values, begins, dtype=np.int64)
    rows["probability"] = of_pieces(np.add, total)
    greatest = np.maximum.reduceat(values, begins).astype(np.int64)
    rows["greatest"] = of_pieces(np.maximum, greatest)
    if levels is not None:
        for name, level in zip(("contrast", "snr"), levels, strict=True):
            total = np.add.reduceat(_whole(level, _UNITS[name]), begins)
            rows[name] = of_pieces(np.add, total)
    who, lengths = inner_lengths(_beyond(pieces.labels, roi, shape), weights)
    rows["length"] = _sums(who - 1, lengths, pieces.count)
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
    # Most are empty, and most others are full; neither adds anything.
    place = np.flatnonzero((codes != 0) & (codes != _FULL))
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
