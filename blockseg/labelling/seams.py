"""Seams between blocks: touching pieces, and lengths that cross.

A neighbourhood is a box of 2×2×2 voxels. Every pair of voxels that touch lies in one, so
the neighbourhoods that several blocks share tell all that holds pieces together. A block
looks at those whose last voxel is its own: in each, besides its own planes, at most those
of the seven blocks before it. All that is needed of a block is the labels of its faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.labelling.pieces import corner_steps, inner_lengths
from blockseg.morphology.tube_length import CORNERS, flat_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.labelling.pieces import Connectivity

BEFORE = tuple(product((-1, 0), repeat=3))
"""Offsets in the grid of a block and the seven before it; the last is the block itself."""

_SLOT = 2**32


@dataclass(frozen=True, slots=True)
class Faces:
    """Labels of the six faces of a block, as far as they are foreground."""

    shape: Zyx
    """Voxels of the block."""

    places: tuple[NDArray[np.uint32], ...]
    """Numbers of voxels in each face, in C order: first and last along z, along y, x."""

    labels: tuple[NDArray[np.uint32], ...]
    """Their labels."""

    @classmethod
    def of(cls, labels: NDArray[np.uint32]) -> Faces:
        """Return the faces of a block's labels."""
        places, found = [], []
        for axis, side in product(range(3), (0, -1)):
            plane = labels.take(side, axis=axis).ravel()
            place = np.flatnonzero(plane)
            places.append(place.astype(np.uint32))
            found.append(plane[place])
        z, y, x = labels.shape
        return cls((z, y, x), tuple(places), tuple(found))

    def plane(self, axis: int, side: int) -> NDArray[np.int64]:
        """Return a face; ``side`` 0 is the first along the axis, 1 the last."""
        shape = [n for other, n in enumerate(self.shape) if other != axis]
        plane = np.zeros(shape, np.int64)
        number = 2 * axis + side
        plane.ravel()[self.places[number]] = self.labels[number]
        return plane


@dataclass(frozen=True, slots=True)
class Seam:
    """Pieces and lengths at the seams of a block, in blocks by their place in :data:`BEFORE`."""

    pairs: NDArray[np.int32]
    """(n, 4): block, label, block, label of pieces that touch; each pair once."""

    owners: NDArray[np.int32]
    """(n, 2): block and label of pieces that lengths belong to."""

    lengths: NDArray[np.int64]
    """(n,): these lengths, in units of the weights."""


def seam(
    blocks: Mapping[int, Faces],
    shape: Zyx,
    last: tuple[bool, bool, bool],
    connectivity: Connectivity,
    weights: NDArray[np.int64],
) -> Seam:
    """Return the result of neighbourhoods whose last voxel is in the first plane of a block.

    Parameters
    ----------
    blocks
        Faces of the block and of those before it, by their place in :data:`BEFORE`; those
        without foreground may be left out.
    shape
        Voxels of the block.
    last
        Whether the output ends behind the block, along (z, y, x).
    connectivity
        Neighbours of a voxel that belong to the same component.
    weights
        From :func:`~blockseg.morphology.tube_length.length_weights`.
    """
    pairs, owners, lengths = [], [], []
    for axis in range(3):
        slab = _slab(blocks, shape, last, axis)
        # Neighbourhoods of an earlier axis are not looked at again.
        slab = slab[tuple(slice(int(earlier < axis), None) for earlier in range(3))]
        if not slab.any():
            continue
        slab = np.ascontiguousarray(slab)
        pairs.append(_touching(slab, connectivity))
        who, length = inner_lengths(slab, weights)
        owners.append(who)
        lengths.append(length)
    owner, length = _added(_joined(owners), _joined(lengths))
    pair = _each_once(np.concatenate([np.zeros((0, 2), np.int64), *pairs]))
    flat = np.stack([pair // _SLOT, pair % _SLOT], axis=2).reshape(-1, 4)
    return Seam(
        flat.astype(np.int32),
        np.stack([owner // _SLOT, owner % _SLOT], axis=1).astype(np.int32),
        length,
    )


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _added(
    who: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    owner, where = np.unique(who, return_inverse=True)
    total = np.zeros(len(owner), np.int64)
    np.add.at(total, where, length)
    return owner[total != 0], total[total != 0]


def _slab(
    blocks: Mapping[int, Faces], shape: Zyx, last: tuple[bool, bool, bool], axis: int
) -> NDArray[np.int64]:
    """Return the last plane before a block and its first, along an axis.

    One voxel more before the block on the other axes, and behind it where the output
    ends. A label has the place of its block in its upper half.
    """
    size = [1 + n + end for n, end in zip(shape, last, strict=True)]
    size[axis] = 2
    slab = np.zeros(size, np.int64)
    for place, faces in blocks.items():
        offset = BEFORE[place]
        others = [a for a in range(3) if a != axis]
        plane = faces.plane(axis, 1 if offset[axis] else 0)
        target: list[slice | int] = [slice(None)] * 3
        target[axis] = 1 + offset[axis]
        for number, other in enumerate(others):
            if offset[other]:  # of the block before it, one voxel is seen
                plane = plane.take([-1], axis=number)
                target[other] = slice(0, 1)
            else:
                target[other] = slice(1, 1 + plane.shape[number])
        slab[tuple(target)] = np.where(plane, plane + place * _SLOT, 0)
    return slab


def _touching(slab: NDArray[np.int64], connectivity: Connectivity) -> NDArray[np.int64]:
    """Return the pairs of labels of different blocks that touch in a slab, each once."""
    codes = flat_codes(slab != 0, (False, False, False))
    place = np.flatnonzero(codes & (codes - np.uint8(1)))  # of two voxels or more
    flat, steps = slab.ravel(), corner_steps(slab.shape)
    corners = [flat[place + step] for step in steps.tolist()]
    blocks = [corner // _SLOT for corner in corners]
    found = [np.zeros((0, 2), np.int64)]
    for one, other in _PAIRS[connectivity]:
        a, b = corners[one], corners[other]
        touch = np.flatnonzero((a != 0) & (b != 0) & (blocks[one] != blocks[other]))
        if len(touch):
            found.append(np.stack([a[touch], b[touch]], axis=1))
    return _each_once(np.sort(np.concatenate(found), axis=1))


def _each_once(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows in ascending order, each once."""
    labels, number = np.unique(pairs, return_inverse=True)
    one, other = number.reshape(-1, 2).T
    key = np.unique(one * len(labels) + other)
    one, other = np.divmod(key, max(1, len(labels)))
    return np.stack([labels[one], labels[other]], axis=1)


def _pairs(reach: int) -> list[tuple[int, int]]:
    """Return pairs of corners of a neighbourhood that differ on so many axes at most."""
    return [
        (a, b)
        for a, b in combinations(range(len(CORNERS)), 2)
        if sum(p != q for p, q in zip(CORNERS[a], CORNERS[b], strict=True)) <= reach
    ]


_PAIRS = {6: _pairs(1), 18: _pairs(2), 26: _pairs(3)}
