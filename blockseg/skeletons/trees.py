"""Rooted trees of objects, in the order in which SWC wants them, and their measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.skeletons.graph import Graph

UNDEFINED, SOMA = 0, 1
"""Types of nodes in SWC."""


@dataclass(frozen=True, slots=True)
class ObjectTree:
    """Centreline of one object; parents before their children."""

    component: int
    """Id of the object."""

    position: NDArray[np.float64]
    """(n, 3), (z, y, x), in µm."""

    radius: NDArray[np.float64]
    """(n,), in µm."""

    kind: NDArray[np.int64]
    """(n,), type in SWC: 1 for a root that is thick, else 0, undefined."""

    parent: NDArray[np.int64]
    """(n,), row of the parent; -1 at a root."""

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def length(self) -> float:
        """Sum of all paths, in µm."""
        children = np.flatnonzero(self.parent >= 0)
        step = self.position[children] - self.position[self.parent[children]]
        return float(np.sqrt((step**2).sum(axis=1)).sum())

    def degrees(self) -> NDArray[np.int64]:
        """Return with how many others each node is joined."""
        children = np.flatnonzero(self.parent >= 0)
        joined = np.concatenate([children, self.parent[children]])
        return np.bincount(joined, minlength=len(self))

    @property
    def tips(self) -> int:
        """Number of ends."""
        return int(np.count_nonzero(self.degrees() == 1))

    @property
    def branchings(self) -> int:
        """Number of branch points."""
        return int(np.count_nonzero(self.degrees() >= 3))


def trees_of(graph: Graph, spacing: float = 0.0) -> Iterator[ObjectTree]:
    """Yield the trees of a forest, objects by rising id.

    The root is the largest core of an object; without one, its end in the voxel with the
    lowest number.

    Parameters
    ----------
    graph
        A forest.
    spacing
        Least distance along a path between nodes that are kept, in µm; ends and
        branchings are kept anyway.
    """
    if not len(graph):
        return
    order, parent = _ordered(graph)
    kept, parent = _thinned_out(graph, order, parent, spacing)
    rows = order[kept]
    component = graph.component[rows]
    new = np.flatnonzero(np.r_[True, component[1:] != component[:-1]])
    for a, b in zip(new, np.r_[new[1:], len(rows)], strict=True):
        own = rows[a:b]
        above = parent[a:b]
        soma = graph.core[own] & (above < 0)
        yield ObjectTree(
            int(component[a]),
            graph.position[own],
            graph.radius[own],
            np.where(soma, SOMA, UNDEFINED).astype(np.int64),
            np.where(above < 0, -1, above - a),
        )


def _ordered(graph: Graph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows, depth first, and for each of these the place of its parent."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, depth_first_order

    count = len(graph)
    a, b = graph.edges.T
    links = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    _, tree = connected_components(links, directed=False)
    # A core first, larger ones before smaller; then ends; then the lowest number.
    size = np.where(graph.core, graph.radius, 0.0)
    choice = np.lexsort((graph.number, graph.degrees() > 1, -size, tree))
    _, first = np.unique(tree[choice], return_index=True)
    roots = np.sort(choice[first])
    # One more node, above all roots.
    top = np.full(len(roots), count)
    pairs = (np.r_[a, b, top], np.r_[b, a, roots])
    ones = np.ones(len(pairs[0]), np.int8)
    whole = coo_array((ones, pairs), shape=(count + 1, count + 1)).tocsr()
    whole.sort_indices()
    order, above = depth_first_order(whole, count, directed=True)
    order = order[1:].astype(np.int64)
    # Objects follow each other, whatever order their roots were met in.
    order = order[np.argsort(graph.component[order], kind="stable")]
    place = np.full(count + 1, -1, np.int64)
    place[order] = np.arange(count)
    return order, place[above[order]]


def _thinned_out(
    graph: Graph,
    order: NDArray[np.int64],
    parent: NDArray[np.int64],
    spacing: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places that are kept, and among them the parent of each."""
    count = len(order)
    places = np.arange(count)
    position = graph.position[order]
    step = np.zeros(count)
    has = parent >= 0
    step[has] = np.sqrt(((position[has] - position[parent[has]]) ** 2).sum(axis=1))
    # Sums of such are exact: what is kept of an object depends on no other.
    step = np.rint(step * 2**20) / 2**20
    degree = graph.degrees()[order]
    fixed = (degree != 2) | ~has | graph.core[order]
    # A run is a path without branchings, in which each node follows its parent.
    starts = ~has | (parent != places - 1) | fixed[np.maximum(parent, 0)]
    fixed[parent[starts & has]] = True
    run = np.cumsum(starts) - 1
    along = np.cumsum(step)
    begin = along[np.flatnonzero(starts)] - step[np.flatnonzero(starts)]
    way = along - begin[run]
    cell = np.floor(way / spacing) if spacing > 0 else way
    before = np.where(starts, 0.0, np.r_[0.0, cell[:-1]])
    kept = fixed | (cell > before) if spacing > 0 else np.ones(count, bool)
    # The next kept one above: in the run, or what the run springs from.
    last = np.maximum.accumulate(np.where(kept, places, -1))
    previous = np.r_[-1, last[:-1]]
    run_start = np.flatnonzero(starts)[run]
    above = np.where(previous >= run_start, previous, parent[run_start])
    above = np.where(has, above, -1)
    new = np.cumsum(kept) - 1
    chosen = above[kept]
    return np.flatnonzero(kept), np.where(chosen < 0, -1, new[np.maximum(chosen, 0)])
