"""Thinning to centrelines whose every voxel depends on a bounded neighbourhood.

A block that reads enough around itself finds the same line as its neighbours, voxel
for voxel, and it knows whether it read enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from blockseg.skeletons.neighbourhood import (
    FACES,
    OFFSETS,
    DeletableTable,
    count_bits,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

LAYERS = 16
"""Layers of voxels that are peeled off at most; what is thicker stays as a core."""

REACH = 9 * LAYERS + 3
"""Voxels around a block beyond which nothing can change its lines: eight subfields and
a look at the faces a layer, and the neighbours' neighbours of the block's own voxels."""

_CORE = 7  # neighbours that a voxel of a line does not have
_ENUMERATED = 4  # neighbours in doubt whose every combination is tried

Cut = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
"""Whether the volume goes on beyond the low and the high face along (z, y, x)."""

WHOLE: Cut = ((False, False),) * 3
"""Nothing lies beyond any face."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """Centrelines of a window, as rows; one a voxel."""

    shape: Zyx
    """Voxels of the window along (z, y, x)."""

    place: NDArray[np.int64]
    """(n,), C-order numbers in the window, rising."""

    code: NDArray[np.uint32]
    """(n,), which of the 26 neighbours are on the line and of the same object."""

    doubt: NDArray[np.int64]
    """C-order numbers of voxels that what lies beyond the window might change."""

    layers: int
    """Layers that were peeled off, the last look included."""

    @property
    def core(self) -> NDArray[np.bool_]:
        """Voxels, (n,), that are no line but the inside or the shell of something thick."""
        return np.asarray(count_bits(self.code) >= _CORE)


@cache
def _table() -> DeletableTable:
    return DeletableTable()


def thin(
    labels: NDArray[np.generic],
    start: Zyx = (0, 0, 0),
    cut: Cut = WHOLE,
    *,
    layers: int = LAYERS,
) -> Thinned:
    """Thin the objects of a window to lines one voxel wide that keep their topology.

    Objects are 26-connected voxels of one value above 0. Layers are peeled off, each in
    eight steps over the voxels of one parity: those that are simple and no ends. No two
    of a step are neighbours, so that its outcome has no order.

    Parameters
    ----------
    labels
        Shape (z, y, x), 0 in the background.
    start
        Place of the first voxel in the volume, which the parities are counted from.
    cut
        Where the volume goes on beyond the window.
    layers
        Greatest number of layers.

    Notes
    -----
    Subfields as in G. Bertrand and Z. Aktouf, Three-dimensional thinning algorithm using
    subfields, Proc. SPIE 2356, 1994.
    """
    window = _Window(labels, start, cut)
    done = 0
    while done < layers and len(window.alive):
        done += 1
        if not window.peel():
            break
    return window.result(done)


class _Window:
    """A window at work, with one voxel of padding on every side."""

    def __init__(self, labels: NDArray[np.generic], start: Zyx, cut: Cut) -> None:
        self._shape = labels.shape
        padded = np.pad(labels, 1)
        strides = np.array(padded.strides) // padded.itemsize
        self._steps = [int(np.dot(o, strides)) for o in OFFSETS]
        flat = padded.reshape(-1)
        self.alive = np.flatnonzero(flat)
        values = flat[self.alive]
        code = np.zeros(len(self.alive), np.uint32)
        for k, step in enumerate(self._steps):
            same = flat[self.alive + step] == values
            code |= same.astype(np.uint32) << np.uint32(k)
        self._padded = padded.shape
        self._code = np.zeros(padded.size, np.uint32)
        self._code[self.alive] = code
        self._there = np.zeros(padded.size, bool)
        self._there[self.alive] = True
        z, y, x = (
            ((n + s + 1) % 2).astype(np.uint8)
            for n, s in zip(
                np.unravel_index(self.alive, self._padded), start, strict=True
            )
        )
        self._field = 4 * z + 2 * y + x
        # What may be there or not: first what lies beyond the cuts.
        self._doubtful = _ring(padded.shape, cut).reshape(-1)
        self._doubts: NDArray[np.uint32] | None = None
        if self._doubtful.any():
            doubts = np.zeros(len(self.alive), np.uint32)
            for k, step in enumerate(self._steps):
                beside = self._doubtful[self.alive + step]
                doubts |= beside.astype(np.uint32) << np.uint32(k)
            self._doubts = np.zeros(padded.size, np.uint32)
            self._doubts[self.alive] = doubts

    def peel(self) -> bool:
        """Take one layer away; say whether anything changed."""
        border = (self._code[self.alive] & np.uint32(FACES)) != FACES
        changed = False
        for number in range(8):
            own = self._field == number
            voxels = self.alive[own & border]
            voxels = voxels[_table()(self._code[voxels])]
            in_doubt = self._newly_doubtful(self.alive[own])
            self._there[voxels] = False
            # No two have one neighbour at the same step: no place comes twice.
            for k, step in enumerate(self._steps):
                self._code[voxels + step] &= np.uint32(0xFFFFFFFF ^ (1 << (25 - k)))
            if self._doubts is not None and len(in_doubt):
                self._doubtful[in_doubt] = True
                for k, step in enumerate(self._steps):
                    self._doubts[in_doubt + step] |= np.uint32(1 << (25 - k))
            changed = changed or len(voxels) > 0 or len(in_doubt) > 0
        stays = self._there[self.alive]
        self.alive, self._field = self.alive[stays], self._field[stays]
        return changed

    def result(self, layers: int) -> Thinned:
        """Return what is left."""
        doubt = self._doubtful.reshape(self._padded)[1:-1, 1:-1, 1:-1]
        z, y, x = self._shape
        return Thinned(
            (z, y, x),
            self._inner(self.alive),
            self._code[self.alive],
            np.flatnonzero(doubt) if self._doubts is not None else _none(),
            layers,
        )

    def _inner(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers in the window of numbers in the padded one."""
        z, y, x = (n - 1 for n in np.unravel_index(voxels, self._padded))
        return np.asarray(np.ravel_multi_index((z, y, x), self._shape), np.int64)

    def _newly_doubtful(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of voxels of a step that might go or stay, by what is in doubt."""
        if self._doubts is None:
            return _none()
        voxels = voxels[(self._doubts[voxels] != 0) & ~self._doubtful[voxels]]
        if not len(voxels):
            return voxels
        doubts = self._doubts[voxels]
        known = self._code[voxels] & ~doubts
        count = count_bits(doubts)
        sure = count <= _ENUMERATED
        # A voxel stays for sure if it stays with each combination of those in doubt.
        stays = sure.copy()
        rows = np.flatnonzero(sure)
        left = doubts[rows]
        bits = []
        for _ in range(_ENUMERATED):
            lowest = left & (~left + np.uint32(1))
            bits.append(lowest)
            left = left & ~lowest
        for chosen in range(2**_ENUMERATED):
            code = known[rows]
            for k, bit in enumerate(bits):
                if chosen >> k & 1:
                    code = code | bit
            stays[rows] &= ~_table()(code)
        return voxels[~stays]


def _ring(shape: tuple[int, ...], cut: Cut) -> NDArray[np.bool_]:
    ring = np.zeros(shape, bool)
    for axis, (low, high) in enumerate(cut):
        face = np.moveaxis(ring, axis, 0)
        face[0] |= low
        face[-1] |= high
    return ring


def _none() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)
