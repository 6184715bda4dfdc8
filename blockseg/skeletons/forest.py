"""Trees of whole objects: made from voxels of lines, without cycles and short spurs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.skeletons.block_lines import BlockLines

SPUR = 2.0
"""Ends that reach less than this many radii of the place where they leave are pruned."""

SPUR_VOXELS = 1.5
"""So are those shorter than this many of the longest edge of a voxel."""

_SMOOTHINGS = 3


@dataclass(frozen=True, slots=True)
class Graph:
    """Places of many objects, and which are joined. Rows by object, then by number."""

    component: NDArray[np.uint64]
    """(n,), id of the object."""

    number: NDArray[np.int64]
    """(n,), C-order number of the voxel; of a core its first one."""

    position: NDArray[np.float64]
    """(n, 3), (z, y, x), in µm."""

    radius: NDArray[np.float64]
    """(n,), in µm."""

    core: NDArray[np.bool_]
    """(n,), whether it stands for something thick."""

    edges: NDArray[np.int64]
    """(m, 2), rows that are joined, each pair once, the lower row first."""

    def __len__(self) -> int:
        return len(self.number)

    def lengths(self) -> NDArray[np.float64]:
        """Return the length of each edge, in µm."""
        a, b = self.position[self.edges.T]
        return np.asarray(np.sqrt(((a - b) ** 2).sum(axis=1)))

    def degrees(self) -> NDArray[np.int64]:
        """Return how many others each row is joined with."""
        return np.bincount(self.edges.reshape(-1), minlength=len(self))

    def sorted(self) -> Graph:
        """Return it with its rows in order."""
        order = np.lexsort((self.number, self.component))
        new = np.empty(len(order), np.int64)
        new[order] = np.arange(len(order))
        return Graph(
            self.component[order],
            self.number[order],
            self.position[order],
            self.radius[order],
            self.core[order],
            np.sort(new[self.edges], axis=1),
        )

    def kept(self, rows: NDArray[np.bool_]) -> Graph:
        """Return a part of it."""
        new = np.cumsum(rows) - 1
        edges = self.edges[rows[self.edges].all(axis=1)]
        return Graph(
            self.component[rows],
            self.number[rows],
            self.position[rows],
            self.radius[rows],
            self.core[rows],
            new[edges],
        )


def graph_of(
    lines: BlockLines,
    shape: Zyx,
    voxel_size: Sequence[float],
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> Graph:
    """Return the graph of lines, each core one node in its middle.

    Parameters
    ----------
    lines
        All voxels of the objects.
    shape
        Voxels of the image.
    voxel_size, translation
        Of the image, in µm, (z, y, x).
    """
    size, corner = np.array(voxel_size, float), np.array(translation, float)
    order = np.argsort(lines.voxel, kind="stable")
    voxels = lines.voxel[order]
    count = len(voxels)
    places = np.stack(np.unravel_index(voxels, shape), axis=1).astype(np.int64)
    edges = np.searchsorted(voxels, lines.edges)
    inside = (edges < count).all(axis=1) if count else np.zeros(0, bool)
    edges, wanted = edges[inside], lines.edges[inside]
    edges = edges[(voxels[edges] == wanted).all(axis=1)] if count else edges
    component, core = lines.component[order], lines.core[order]
    node, name, nodes = _contracted(core, edges, count)
    members = np.bincount(node, minlength=nodes)
    middle = (
        np.stack(
            [np.bincount(node, places[:, axis], nodes) for axis in range(3)], axis=1
        )
        / np.maximum(members, 1)[:, None]
    )
    radius = np.zeros(nodes)
    np.maximum.at(radius, node, lines.radius[order].astype(float))
    # Of something thick the ball of its volume: what was peeled off it comes on top.
    ball = np.cbrt(3 * members * size.prod() / (4 * np.pi)) + radius
    several = members > 1
    radius[several] = np.maximum(radius, ball)[several]
    edges = np.sort(node[edges], axis=1)
    edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
    graph = Graph(
        component[name], voxels[name], middle * size + corner, radius, several, edges
    )
    return graph.sorted()


def _contracted(
    core: NDArray[np.bool_], edges: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the node of each voxel, the first voxel of each node, and their number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    between = edges[core[edges].all(axis=1)] if count else edges
    ones = np.ones(len(between), np.int8)
    graph = coo_array((ones, (between[:, 0], between[:, 1])), shape=(count, count))
    nodes, found = connected_components(graph, directed=False)
    _, first = np.unique(found, return_index=True)
    return found.astype(np.int64), first, int(nodes)


def object_forest(
    lines: BlockLines,
    shape: Zyx,
    voxel_size: Sequence[float],
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> Graph:
    """Return trees of objects, free of cycles, spurs and steps, from all their voxels.

    Parameters
    ----------
    lines, shape, voxel_size, translation
        As for :func:`graph_of`. What other objects are there makes no difference.
    """
    graph = without_cycles(graph_of(lines, shape, voxel_size, translation))
    return smoothed(without_spurs(graph, SPUR, SPUR_VOXELS * max(voxel_size)))


def without_cycles(graph: Graph) -> Graph:
    """Return a forest: each cycle loses its longest edge, the thinnest of several.

    Ties fall to the places with the higher numbers, so that the outcome depends on the
    object alone.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    a, b = graph.edges.T
    thin = np.minimum(graph.radius[a], graph.radius[b])
    length = np.round(graph.lengths(), 6)
    order = np.lexsort((b, a, -thin, length))
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    weights = coo_array((rank, (a, b)), shape=(len(graph),) * 2).tocsr()
    tree = minimum_spanning_tree(weights).tocoo()
    edges = np.sort(np.stack([tree.row, tree.col], axis=1).astype(np.int64), axis=1)
    return replace(graph, edges=edges[np.lexsort((edges[:, 1], edges[:, 0]))])


def without_spurs(graph: Graph, spur: float = SPUR, least: float = 0.0) -> Graph:
    """Return a forest without ends that hardly leave the branch that they spring from.

    Parameters
    ----------
    graph
        A forest.
    spur
        An end is pruned if it is shorter than this many radii of where it leaves, ...
    least
        ... and this much, in µm.
    """
    while True:
        graph, pruned = _pruned(graph, spur, least)
        if not pruned:
            return graph


def _pruned(graph: Graph, spur: float, least: float) -> tuple[Graph, bool]:
    """Take the shortest spurs of each branching, but for two ends of it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    degree = graph.degrees()
    branching = degree >= 3
    if not branching.any():
        return graph, False
    a, b = graph.edges.T
    length = graph.lengths()
    count = len(graph)
    within = ~branching[a] & ~branching[b]
    links = coo_array(
        (np.ones(np.count_nonzero(within), np.int8), (a[within], b[within])),
        shape=(count, count),
    )
    chains, chain = connected_components(links, directed=False)
    ends = np.bincount(chain, (degree == 1) & ~branching, chains) > 0
    core = np.bincount(chain, graph.core & ~branching, chains) > 0
    total = np.bincount(chain[a[within]], length[within], chains)
    # The edge that joins a chain with where it springs from.
    joint = branching[a] != branching[b]
    low, high = a[joint], b[joint]
    root = np.where(branching[low], low, high)
    of = chain[np.where(branching[low], high, low)]
    total += np.bincount(of, length[joint], chains)
    reach = np.maximum(spur * graph.radius[root], least)
    short = ends[of] & ~core[of] & (total[of] <= reach)
    root, of = root[short], of[short]
    first = np.full(chains, count)
    np.minimum.at(first, chain, np.arange(count))
    order = np.lexsort((first[of], np.round(total[of], 6), root))
    root, of = root[order], of[order]
    # Of each branching, so many that two ends are left.
    new = np.r_[True, root[1:] != root[:-1]] if len(root) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(new, np.arange(len(root)), 0))
    place = np.arange(len(root)) - start
    gone = of[place < degree[root] - 2]
    if not len(gone):
        return graph, False
    lost = np.zeros(chains, bool)
    lost[gone] = True
    return graph.kept(branching | ~lost[chain]), True


def smoothed(graph: Graph, times: int = _SMOOTHINGS) -> Graph:
    """Return a forest whose paths are free of the steps of voxels.

    Each place of two neighbours moves half the way to their middle, so many times; ends
    and branchings stay. A path through voxel centres is longer than the line that it
    follows, by up to a fifth where voxels are long along one axis.
    """
    degree = graph.degrees()
    middle = np.flatnonzero((degree == 2) & ~graph.core)
    both = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    first = np.searchsorted(both[:, 0], middle)
    before, after = both[first, 1], both[np.minimum(first + 1, len(both) - 1), 1]
    position = graph.position.copy()
    for _ in range(times):
        between = (position[before] + position[after]) / 2
        position[middle] = (position[middle] + between) / 2
    return replace(graph, position=position)
