"""Loops of lines opened where neurites touch, so that few ends come about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.skeletons.graph import Graph

CONTACT = 8.0
"""A loop loses its shortest path between branchings as a whole if that is at most this
many radii long: two neurites that touch are joined by such a path."""


def without_loops(graph: Graph, contact: float = CONTACT) -> Graph:
    """Return a graph in which loops are opened at branchings.

    Of each loop the shortest path between two branchings goes: as a whole if it is short,
    which leaves no end; else only where it springs from one of them, which leaves one.
    Loops without a branching, and those within one, stay.

    Parameters
    ----------
    graph
        Lines, of any objects.
    contact
        Radii.
    """
    degree = graph.degrees()
    branching = degree >= 3
    a, b = graph.edges.T
    chain, chains = _parts(graph, ~branching)
    cluster, clusters = _parts(graph, branching)
    joint = np.flatnonzero(branching[a] != branching[b])
    low, high = a[joint], b[joint]
    root = np.where(branching[low], low, high)
    of = chain[np.where(branching[low], high, low)]
    # Only paths with two ends at branchings.
    both = np.bincount(of, minlength=chains) == 2
    chosen = both[of]
    joint, root, of = joint[chosen], root[chosen], of[chosen]
    if not len(of):
        return graph
    order = np.lexsort((graph.number[root], of))
    joint, root, of = (x[order].reshape(-1, 2) for x in (joint, root, of))
    of = of[:, 0]
    ends = np.sort(cluster[root], axis=1)
    length = _lengths(graph, chain, chains)[of]
    length += graph.lengths()[joint].sum(axis=1)
    first = np.full(chains, np.iinfo(np.int64).max)
    lines = np.flatnonzero(~branching)
    np.minimum.at(first, chain[lines], graph.number[lines])
    loose = _loose(ends, clusters, np.lexsort((first[of], -np.round(length, 6))))
    # What joins something thick is no contact of lines, nor is what contains it.
    radius = np.where(graph.core, 0.0, graph.radius)
    short = length <= contact * radius[root].max(axis=1)
    short &= np.bincount(chain, graph.core & ~branching, chains)[of] == 0
    gone = np.zeros(chains, bool)
    gone[of[loose & short]] = True
    # At the thinner end; at the one with the lower number if both are alike.
    thin = np.argmin(np.round(graph.radius[root], 6), axis=1)
    cut = joint[np.arange(len(joint)), thin][loose & ~short]
    edges = np.delete(graph.edges, cut, axis=0)
    return replace(graph, edges=edges).kept(branching | ~gone[chain])


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


def _parts(graph: Graph, rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Return the number of the connected part of each row, and how many there are.

    Rows that are left out have parts of their own.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = graph.edges[rows[graph.edges].all(axis=1)].T
    ones = np.ones(len(a), np.int8)
    links = coo_array((ones, (a, b)), shape=(len(graph),) * 2)
    count, part = connected_components(links, directed=False)
    return part.astype(np.int64), int(count)


def _lengths(
    graph: Graph, chain: NDArray[np.int64], chains: int
) -> NDArray[np.float64]:
    a, b = graph.edges.T
    within = chain[a] == chain[b]
    long = np.bincount(chain[a[within]], graph.lengths()[within], chains)
    return long.astype(np.float64)


def _loose(
    ends: NDArray[np.int64], clusters: int, order: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which paths are not needed to join what all of them join.

    Those that come first in the order are kept.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    loose = np.ones(len(ends), bool)
    pair = ends[order, 0] * clusters + ends[order, 1]
    _, first = np.unique(pair, return_index=True)
    kept = order[first]
    kept = kept[ends[kept, 0] != ends[kept, 1]]
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    one, other = ends[kept].T
    weights = coo_array((rank[kept], (one, other)), shape=(clusters,) * 2)
    tree = minimum_spanning_tree(weights.tocsr())
    loose[order[tree.data.astype(np.int64) - 1]] = False
    return loose
