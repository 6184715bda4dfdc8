"""Neighbourhoods of a voxel as numbers, and which voxels thinning may take away.

The 26 neighbours of a voxel are 26 bits of a number, in C order without the voxel
itself, so that bit k and bit 25 - k lie opposite each other.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

OFFSETS = tuple(o for o in product((-1, 0, 1), repeat=3) if o != (0, 0, 0))
"""Places of the neighbours, (z, y, x), in the order of their bits."""


def _bits(which: Iterable[int]) -> int:
    return sum(1 << k for k in which)


FACES = _bits(k for k, o in enumerate(OFFSETS) if sum(map(abs, o)) == 1)
"""Bits of the six neighbours that share a face."""

_NEAR = _bits(k for k, o in enumerate(OFFSETS) if sum(map(abs, o)) <= 2)
"""Bits of the 18 neighbours that share a face or an edge."""


def _adjacent(steps: int, within: int) -> tuple[int, ...]:
    """Return for each neighbour the bits of those one step from it."""
    return tuple(
        within
        & _bits(
            k
            for k, b in enumerate(OFFSETS)
            if b != a
            and max(abs(p - q) for p, q in zip(a, b, strict=True)) == 1
            and sum(abs(p - q) for p, q in zip(a, b, strict=True)) <= steps
        )
        for a in OFFSETS
    )


_JOINED = _adjacent(3, _bits(range(26)))
_JOINED_BY_FACE = _adjacent(1, _NEAR)
_UNKNOWN, _KEEP, _DELETE = 0, 1, 2


class DeletableTable:
    """Answers whether a voxel with given neighbours may be taken away.

    A neighbourhood is judged when it is met first and its answer kept: 64 MiB a
    process, of which only what is used is touched. Threads may share it.
    """

    def __init__(self) -> None:
        self._answers = np.zeros(2**26, np.uint8)

    def __call__(self, code: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return which voxels are simple and no ends.

        Parameters
        ----------
        code
            Neighbourhoods, 1-D.
        """
        answer = self._answers[code]
        new = answer == _UNKNOWN
        if new.any():
            codes = np.unique(code[new])
            self._answers[codes] = np.where(_deletable(codes), _DELETE, _KEEP)
            answer = self._answers[code]
        return np.asarray(answer == _DELETE)


def _deletable(code: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Say which voxels are simple points, (26, 6), with two neighbours or more.

    A point is simple if it has one component of foreground among its 26 neighbours and
    one of background, by faces within the 18, that shares a face with it: G. Bertrand
    and G. Malandain, A new characterization of three-dimensional simple points,
    Pattern Recognition Letters 15, 1994.
    """
    one = np.uint32(1)
    several = (code & (code - one)) != 0
    joined = _flooded(code & (~code + one), code, _JOINED) == code
    free = ~code & np.uint32(_NEAR)
    faces = free & np.uint32(FACES)
    reached = _flooded(faces & (~faces + one), free, _JOINED_BY_FACE)
    alone = (faces != 0) & ((reached & faces) == faces)
    return np.asarray(several & joined & alone)


def _flooded(
    seed: NDArray[np.uint32], inside: NDArray[np.uint32], adjacent: tuple[int, ...]
) -> NDArray[np.uint32]:
    """Return what a seed grows to within a set of neighbours."""
    grown = seed
    while True:
        before = grown
        for k, bits in enumerate(adjacent):
            has = (grown >> np.uint32(k)) & np.uint32(1)
            grown = grown | (has * np.uint32(bits) & inside)
        if np.array_equal(grown, before):
            return grown


def count_bits(code: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the number of neighbours in each neighbourhood."""
    # NumPy 1 has no bitwise_count.
    code = code - ((code >> np.uint32(1)) & np.uint32(0x55555555))
    code = (code & np.uint32(0x33333333)) + (
        (code >> np.uint32(2)) & np.uint32(0x33333333)
    )
    code = (code + (code >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return ((code * np.uint32(0x01010101)) >> np.uint32(24)).astype(np.uint8)
