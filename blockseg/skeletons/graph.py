"""Lines of whole objects as a graph: places in µm, and which are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.skeletons.block_lines import BlockLines


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
