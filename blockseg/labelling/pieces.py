"""Pieces, the components within one block, and sums over each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np

from blockseg.morphology.tube_length import CORNERS, flat_codes

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

_Value = TypeVar("_Value", bound=np.generic)
_LIMIT = 2.0**20  # noise SDs, beyond which a voxel's contrast is cut off


@dataclass(frozen=True, slots=True)
class Runs:
    """Voxels of the pieces of a block: runs along x, in C order."""

    shape: Zyx
    """Voxels of the block."""

    count: int
    """Number of pieces."""

    start: NDArray[np.int64]
    """(n,), C-order number in the block of the first voxel of each run."""

    length: NDArray[np.int64]
    """(n,), voxels of each run."""

    label: NDArray[np.int64]
    """(n,), label of each run: that of its piece, from 1."""

    def places(self) -> NDArray[np.int64]:
        """Return the C-order number in the block of each foreground voxel."""
        ends = np.cumsum(self.length)
        total = int(ends[-1]) if self.count else 0
        ahead = np.repeat(self.start - (ends - self.length), self.length)
        places: NDArray[np.int64] = np.arange(total) + ahead
        return places

    def of_voxels(self, values: NDArray[_Value]) -> NDArray[_Value]:
        """Return the value of each foreground voxel's piece, in the order of :meth:`places`.

        Parameters
        ----------
        values
            (count,), that of label n is n - 1.
        """
        return np.repeat(values[self.label - 1], self.length)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Components of one block."""

    labels: NDArray[np.uint32]
    """Axes (z, y, x): from 1, 0 for background."""

    runs: Runs
    """Their voxels."""

    @property
    def count(self) -> int:
        """Number of pieces."""
        return self.runs.count


def label_block(mask: NDArray[np.bool_], connectivity: Connectivity) -> Pieces:
    """Return the components of a mask.

    Parameters
    ----------
    mask
        Axes (z, y, x).
    connectivity
        Neighbours of a voxel that belong to the same component.
    """
    z, y, x = shape = mask.shape
    start, length = _runs(mask)
    if not len(start):
        none = np.zeros(0, np.int64)
        return Pieces(np.zeros(shape, np.uint32), Runs((z, y, x), 0, none, none, none))
    import cc3d

    # cc3d fails on some arrays that are one voxel thin along an axis.
    thin = min(shape) == 1
    padded = np.pad(mask, [(0, int(thin))] * 3) if thin else mask
    labels, count = cc3d.connected_components(
        padded, connectivity=connectivity, return_N=True, out_dtype=np.uint32
    )
    own = np.ascontiguousarray(labels[:z, :y, :x], np.uint32)
    label = own.ravel()[start].astype(np.int64)
    return Pieces(own, Runs((z, y, x), int(count), start, length, label))


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
        start, stop = (
            np.insert(e, np.searchsorted(e, across), across) for e in (start, stop)
        )
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
        Byte of each foreground voxel, in C order.
    levels
        Contrast in noise SDs of the whole volume and SNR of each, which may be the same
        array; None where the image is not looked at.
    """
    rows = np.zeros(pieces.count, PIECE)
    if not pieces.count:
        return rows
    runs = pieces.runs
    # Runs by piece; those of a piece stay in C order. Sixteen bits are sorted by counting.
    few = pieces.count < 2**16
    order = np.argsort(runs.label.astype(np.uint16 if few else np.int64), kind="stable")
    first = np.searchsorted(runs.label[order], np.arange(1, pieces.count + 1))
    start, length = runs.start, runs.length
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
    total = np.add.reduceat(probability, begins, dtype=np.int64)
    rows["probability"] = of_pieces(np.add, total)
    greatest = np.maximum.reduceat(probability, begins).astype(np.int64)
    rows["greatest"] = of_pieces(np.maximum, greatest)
    if levels is not None:
        contrast, snr = levels
        added = of_pieces(
            np.add, np.add.reduceat(_whole(contrast, CONTRAST_UNIT), begins)
        )
        rows["contrast"] = rows["snr"] = added
        if snr is not contrast:
            added = of_pieces(np.add, np.add.reduceat(_whole(snr, SNR_UNIT), begins))
            rows["snr"] = added
    ends = [b == n for b, n in zip(roi.stop, shape, strict=True)]
    who, lengths = inner_lengths(pieces.labels, weights, (ends[0], ends[1], ends[2]))
    rows["length"] = _sums(who - 1, lengths, pieces.count)
    return rows


def inner_lengths(
    labels: NDArray[np.integer],
    weights: NDArray[np.int64],
    beyond: tuple[bool, bool, bool] = (False, False, False),
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return lengths of neighbourhoods, each with the label of its first voxel.

    Parameters
    ----------
    labels
        Axes (z, y, x).
    weights
        From :func:`~blockseg.morphology.tube_length.length_weights`.
    beyond
        Along which axes nothing comes behind them. Elsewhere, only neighbourhoods that lie
        in the array wholly are counted.

    Returns
    -------
    labels, lengths
        In units of the weights.
    """
    codes = flat_codes(labels != 0, beyond)
    place = np.flatnonzero(codes != 0)
    code = codes.take(place)
    # Most of the others are full, or half full, and add nothing.
    adding = (weights != 0).take(code)
    place, code = place.compress(adding), code.compress(adding)
    first = corner_steps(labels.shape)[_FIRST].take(code)
    who = labels.ravel().take(place + first)
    return who.astype(np.int64), weights.take(code)


def corner_steps(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return how far the voxels of a neighbourhood lie behind its first, in C order."""
    return np.array(
        [(z * shape[1] + y) * shape[2] + x for z, y, x in CORNERS], np.int64
    )


_FIRST = np.array(
    [0] + [(code & -code).bit_length() - 1 for code in range(1, 256)], np.int64
)


def _sums(
    label: NDArray[np.int64], values: NDArray[np.integer], count: int
) -> NDArray[np.int64]:
    # Floats add up whole numbers exactly below 2^53; a block has at most 2^31 voxels.
    total: NDArray[np.int64] = np.bincount(label, values, count).astype(np.int64)
    return total


def _whole(level: NDArray[np.floating], unit: float) -> NDArray[np.int64]:
    finite = np.clip(level, -_LIMIT, _LIMIT)
    if np.isnan(finite).any():
        finite = np.nan_to_num(finite, nan=0.0)
    whole: NDArray[np.int64] = np.rint(finite / unit).astype(np.int64)
    return whole
