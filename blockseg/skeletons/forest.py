"""Trees of whole objects, made from voxels of lines: no loops, no short spurs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.skeletons.graph import graph_of
from blockseg.skeletons.loops import without_cycles, without_loops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.geometry import Zyx
    from blockseg.skeletons.block_lines import BlockLines
    from blockseg.skeletons.graph import Graph

SPUR = 3.0
"""Ends that reach less than this many radii of the line that they leave are pruned."""

SPUR_VOXELS = 2.5
"""So are those shorter than this many of the longest edge of a voxel."""

SPUR_CORE = 2.0
"""So are those that reach less than this many radii of the thick part they leave."""

_SMOOTHINGS = 4
_THERE, _BACK = 0.5, -0.53


def object_forest(
    lines: BlockLines,
    shape: Zyx,
    voxel_size: Sequence[float],
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> Graph:
    """Return trees of objects, free of loops, spurs and steps, from all their voxels.

    Parameters
    ----------
    lines, shape, voxel_size, translation
        As for :func:`graph_of`. What other objects are there makes no difference.
    """
    least = SPUR_VOXELS * max(voxel_size)
    graph = graph_of(lines, shape, voxel_size, translation)
    # A bump on a loop would make a branching of it, at which it is opened.
    graph = without_loops(without_spurs(graph, SPUR, least))
    return smoothed(without_spurs(without_cycles(graph), SPUR, least))


def without_spurs(graph: Graph, spur: float = SPUR, least: float = 0.0) -> Graph:
    """Return a graph without ends that hardly leave the branch that they spring from.

    Parameters
    ----------
    graph
        Lines, of any objects.
    spur
        An end is pruned if it is no longer than this many radii of where it leaves a
        line, or :data:`SPUR_CORE` of something thick, ...
    least
        ... or than this, in µm.
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
    radii = np.where(graph.core[root], SPUR_CORE, spur)
    reach = np.maximum(radii * graph.radius[root], least)
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


def smoothed(graph: Graph, rounds: int = _SMOOTHINGS) -> Graph:
    """Return a forest whose paths are free of the steps of voxels.

    In a round each place of two neighbours moves half the way to their middle, then
    somewhat more than that way back: small steps vanish, and bends keep their size. Ends
    and branchings stay. A path through voxel centres is longer than the line that it
    follows, by up to a fifth where voxels are long along one axis.

    Parameters
    ----------
    graph
        A forest.
    rounds
        Number of rounds.

    Notes
    -----
    G. Taubin, Curve and surface smoothing without shrinkage, Proc. ICCV 1995.
    """
    degree = graph.degrees()
    middle = np.flatnonzero((degree == 2) & ~graph.core)
    both = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    first = np.searchsorted(both[:, 0], middle)
    before, after = both[first, 1], both[np.minimum(first + 1, len(both) - 1), 1]
    position = graph.position.copy()
    for share in (_THERE, _BACK) * rounds:
        between = (position[before] + position[after]) / 2
        position[middle] += share * (between - position[middle])
    return replace(graph, position=position)
