"""Connected components counted over blocks, exactly, in memory of one layer of blocks.

Each block labels its own voxels and one voxel more on every side. A component that
reaches into a neighbour shares voxels with one of the neighbour's; components that
share a voxel are one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx


@dataclass(frozen=True, slots=True)
class ComponentPiece:
    """Components that touch a block, as it knows them."""

    closed: int
    """Components that lie inside the block and do not touch its faces."""

    opened: int
    """Components that others may continue."""

    voxel: NDArray[np.int64]
    """C-order number in the volume of each voxel where others may continue them."""

    component: NDArray[np.int64]
    """Which of the ``opened`` ones each of these voxels belongs to, from 0."""


def component_count(mask: NDArray[np.bool_]) -> int:
    """Return the number of components of a 3-D mask (Betti number 0), 26-connected."""
    if not mask.any():
        return 0
    return labelled(mask)[1]


def component_piece(
    mask: NDArray[np.bool_], grown: Roi, own: Roi, shape: Zyx
) -> ComponentPiece:
    """Return the components of a block with one voxel around it.

    Parameters
    ----------
    mask
        Of ``grown``.
    grown
        The block and one voxel more on every side that the region has.
    own
        The block.
    shape
        Of the volume.
    """
    if not mask.any():
        nothing = np.zeros(0, np.int64)
        return ComponentPiece(0, 0, nothing, nothing)
    labels, count = labelled(mask)
    shared = mask.copy()
    shared[_inner(grown, own)] = False
    place = np.nonzero(shared)
    touching, component = np.unique(labels[place], return_inverse=True)
    voxel = np.ravel_multi_index(
        tuple(p + a for p, a in zip(place, grown.start, strict=True)), shape
    )
    return ComponentPiece(
        count - len(touching),
        len(touching),
        voxel.astype(np.int64),
        component.astype(np.int64),
    )


@dataclass(slots=True)
class ComponentCounter:
    """Joins the pieces of blocks and counts whole components."""

    closed: int = 0
    """Components that no block to come can continue."""

    _opened: int = 0
    _voxels: list[NDArray[np.int64]] = field(default_factory=list)
    _components: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, piece: ComponentPiece) -> None:
        """Take a block's components."""
        self.closed += piece.closed
        self._voxels.append(piece.voxel)
        self._components.append(piece.component + self._opened)
        self._opened += piece.opened

    def join(self, first: int | None = None) -> int:
        """Join what was added; return the number of components so far.

        Parameters
        ----------
        first
            Least number of a voxel that pieces to come may have: what cannot be
            continued any more is closed and forgotten. None: no more come.
        """
        if not self._opened:
            return self.closed
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        voxel = np.concatenate(self._voxels)
        component = np.concatenate(self._components)
        order = np.argsort(voxel, kind="stable")
        voxel, component = voxel[order], component[order]
        same = np.flatnonzero(voxel[1:] == voxel[:-1])
        pairs = (component[same], component[same + 1])
        graph = coo_array(
            (np.ones(len(same), np.int8), pairs), shape=(self._opened, self._opened)
        )
        count, joined = connected_components(graph, directed=False)
        kept = len(voxel) if first is None else int(np.searchsorted(voxel, first))
        places, where = np.unique(voxel[kept:], return_index=True)
        names, component = np.unique(
            joined[component[kept:]][where], return_inverse=True
        )
        self.closed += count - len(names)
        self._opened = len(names)
        self._voxels, self._components = [places], [component.astype(np.int64)]
        return self.closed + self._opened


def labelled(mask: NDArray[np.bool_]) -> tuple[NDArray[np.integer], int]:
    """Return a number from 1 for each voxel's component, 26-connected, and their count."""
    import cc3d

    if min(mask.shape) > 1:
        labels, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
        return np.asarray(labels), int(count)
    # cc3d fails on some arrays that are one voxel thin along an axis.
    padded = np.zeros([n + 1 for n in mask.shape], bool)
    padded[:-1, :-1, :-1] = mask
    labels, count = cc3d.connected_components(padded, connectivity=26, return_N=True)
    return np.asarray(labels)[:-1, :-1, :-1], int(count)


def _inner(grown: Roi, own: Roi) -> tuple[slice, ...]:
    """Index the voxels of a block whose neighbours are its own, in ``grown``."""
    inner = []
    for a, b, c, d in zip(grown.start, grown.stop, own.start, own.stop, strict=True):
        low = c if a == c else c + 1
        high = d if b == d else d - 1
        inner.append(slice(low - a, max(low, high) - a))
    return tuple(inner)
