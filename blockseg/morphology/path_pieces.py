"""Straight paths cut where they leave one voxel of a lattice for the next, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.morphology.swc import Tree

_SOMA = 1
_AT_ONCE = 2**18  # segments that are cut at a time

LENGTH_UNIT = 2.0**-20
"""µm in which lengths are counted, as whole numbers: their sums are the same in whatever
order and in however many parts they are added up."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Straight paths between joined nodes."""

    start: NDArray[np.float64]
    """One end of each, (n, 3), (z, y, x)."""

    stop: NDArray[np.float64]
    """The other end."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def length(self) -> NDArray[np.float64]:
        """Lengths (n,), in the unit of the coordinates."""
        return np.asarray(np.linalg.norm(self.stop - self.start, axis=1))

    def batches(self) -> Iterator[Segments]:
        """Yield them some hundred thousand at a time, in order."""
        for first in range(0, len(self), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            yield Segments(self.start[part], self.stop[part])

    def no_longer_than(self, step: float) -> Segments:
        """Return the same paths with longer segments cut into equal parts.

        Parameters
        ----------
        step
            Greatest length of a part, in the unit of the coordinates; above 0.
        """
        parts = np.maximum(np.ceil(self.length / step), 1).astype(np.int64)
        which = np.repeat(np.arange(len(self)), parts)
        number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        of = parts[which]
        a, b = self.start[which], self.stop[which]
        low, high = (number / of)[:, None], ((number + 1) / of)[:, None]
        # The last part ends where the segment does, to the last bit.
        return Segments(a + (b - a) * low, np.where(high < 1, a + (b - a) * high, b))


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Pieces of segments, each inside one voxel."""

    segment: NDArray[np.int64]
    """Which segment each belongs to, (m,), rising."""

    voxel: NDArray[np.int64]
    """Voxel that each lies in, (m, 3), (z, y, x)."""

    share: NDArray[np.float64]
    """Share of its segment, (m,); the shares of a segment add up to 1."""


def tree_segments(tree: Tree) -> Segments:
    """Return the paths from each node to its parent.

    Paths between two nodes of a soma (type 1) are its outline and left out.

    Parameters
    ----------
    tree
        A traced neuron.
    """
    node = np.flatnonzero(tree.parent >= 0)
    parent = tree.parent[node]
    neurite = (tree.kind[node] != _SOMA) | (tree.kind[parent] != _SOMA)
    node, parent = node[neurite], parent[neurite]
    return Segments(tree.position[parent], tree.position[node])


def cut(segments: Segments) -> Pieces:
    """Cut segments at the faces of voxels.

    Parameters
    ----------
    segments
        In voxels of the lattice: voxel k reaches from k − ½ to k + ½.

    Returns
    -------
    Pieces
        None of them without extent, unless its whole segment is.
    """
    a, b = segments.start + 0.5, segments.stop + 0.5
    edge = b - a
    numbers = [np.arange(len(segments))]
    places = [np.zeros(len(segments))]
    for axis in range(3):
        low = np.minimum(a[:, axis], b[:, axis])
        high = np.maximum(a[:, axis], b[:, axis])
        first = np.floor(low) + 1
        crossed = np.maximum(np.ceil(high) - first, 0).astype(np.int64)
        which = np.repeat(np.arange(len(segments)), crossed)
        ahead = np.arange(len(which)) - np.repeat(np.cumsum(crossed) - crossed, crossed)
        face = first[which] + ahead
        numbers.append(which)
        places.append((face - a[which, axis]) / edge[which, axis])
    number, place = np.concatenate(numbers), np.clip(np.concatenate(places), 0, 1)
    order = np.lexsort((place, number))
    number, place = number[order], place[order]
    last = np.append(number[1:] != number[:-1], True)
    after = np.where(last, 1.0, np.append(place[1:], 1.0))
    share = after - place
    # Of a segment without extent the one piece is kept.
    kept = (share > 0) | ((place == 0) & last)
    number, place, after = number[kept], place[kept], after[kept]
    middle = (0.5 * (place + after))[:, None]
    voxel = np.floor(a[number] + edge[number] * middle).astype(np.int64)
    return Pieces(number, voxel, share[kept])


def counted(lengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return lengths in whole units of :data:`LENGTH_UNIT`.

    Parameters
    ----------
    lengths
        In µm.
    """
    return np.rint(lengths / LENGTH_UNIT).astype(np.int64)
