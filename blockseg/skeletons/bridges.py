"""Bridges over gaps between ends that point at each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from blockseg.skeletons.graph import Graph

ANGLE = 35.0
"""Degrees by which the ends may turn away from the gap between them."""

_BACK = 8  # nodes from an end that its direction is taken over


@dataclass(frozen=True, slots=True)
class Tips:
    """Ends of lines."""

    component: NDArray[np.uint64]
    """(n,), id of the object."""

    number: NDArray[np.int64]
    """(n,), C-order number of the voxel in the image."""

    position: NDArray[np.float64]
    """(n, 3), (z, y, x), in µm."""

    direction: NDArray[np.float64]
    """(n, 3), unit vectors that point out of the line."""

    def __len__(self) -> int:
        return len(self.number)

    def to_bytes(self) -> bytes:
        """Return them packed: a row of eight numbers of 8 bytes for each."""
        rows = np.concatenate(
            [
                self.component.astype("<i8")[:, None].view("<f8"),
                self.number.astype("<i8")[:, None].view("<f8"),
                self.position.astype("<f8"),
                self.direction.astype("<f8"),
            ],
            axis=1,
        )
        return rows.tobytes()

    @classmethod
    def from_bytes(cls, packed: Iterable[bytes]) -> Tips:
        """Return what :meth:`to_bytes` packed, several parts as one."""
        rows = np.frombuffer(b"".join(packed), "<f8").reshape(-1, 8)
        names = np.ascontiguousarray(rows[:, :2]).view("<i8")
        return cls(
            names[:, 0].astype(np.uint64), names[:, 1], rows[:, 2:5], rows[:, 5:]
        )


@dataclass(frozen=True, slots=True)
class Bridges:
    """Ends that are joined, and what objects become one by it."""

    pairs: NDArray[np.int64]
    """(m, 2), voxel numbers of two ends."""

    component: NDArray[np.uint64]
    """(k,), ids that change, rising."""

    lead: NDArray[np.uint64]
    """(k,), least id of the object that each belongs to then."""

    def leads(self, component: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the ids of objects after joining."""
        if not len(self.component):
            return component
        at = np.searchsorted(self.component, component)
        at = np.minimum(at, len(self.component) - 1)
        same = self.component[at] == component
        return np.where(same, self.lead[at], component)

    def joined(self, graph: Graph) -> Graph:
        """Return a forest whose ends are joined, objects under their new ids."""
        order = np.argsort(graph.number, kind="stable")
        numbers = graph.number[order]
        at = np.searchsorted(numbers, self.pairs)
        at = np.minimum(at, max(len(numbers) - 1, 0))
        there = (numbers[at] == self.pairs).all(axis=1) if len(numbers) else []
        more = np.sort(order[at[there]], axis=1) if len(numbers) else graph.edges
        component = self.leads(graph.component)
        edges = np.unique(np.concatenate([graph.edges, more]), axis=0)
        graph = replace(graph, component=component, edges=edges)
        return graph.sorted()


def no_bridges() -> Bridges:
    """Return bridges that join nothing."""
    ids = np.zeros(0, np.uint64)
    return Bridges(np.zeros((0, 2), np.int64), ids, ids)


def tips_of(graph: Graph) -> Tips:
    """Return the ends of a forest."""
    degree = graph.degrees()
    tips = np.flatnonzero((degree == 1) & ~graph.core)
    both = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    first = np.searchsorted(both[:, 0], np.arange(len(graph)))
    before, here = np.full(len(tips), -1), tips
    for _ in range(_BACK):
        goes_on = (degree[here] == 2) | (here == tips)
        one = both[np.minimum(first[here], len(both) - 1), 1]
        other = both[np.minimum(first[here] + 1, len(both) - 1), 1]
        onward = np.where((one == before) & (degree[here] == 2), other, one)
        goes_on &= onward != before
        before, here = np.where(goes_on, here, before), np.where(goes_on, onward, here)
    way = graph.position[tips] - graph.position[here]
    long = np.sqrt((way**2).sum(axis=1))
    direction = way / np.maximum(long, 1e-9)[:, None]
    return Tips(
        graph.component[tips], graph.number[tips], graph.position[tips], direction
    )


def find_bridges(
    tips: Tips,
    reach: float,
    dimness: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> Bridges:
    """Return which ends to join: those of the cheapest gaps, each end once at most.

    A gap costs its length, and as much again where nothing at all lies in it; one that
    costs more than ``reach`` stays. No two ends of one object are joined.

    Parameters
    ----------
    tips
        All ends.
    reach
        Greatest cost, in µm.
    dimness
        Given two places (z, y, x) in µm, returns from 0 (as bright as can be) to 1
        (nothing) how dim the way between them is.
    """
    from scipy.spatial import cKDTree

    if len(tips) < 2:
        return no_bridges()
    pairs = cKDTree(tips.position).query_pairs(reach, output_type="ndarray")
    pairs = pairs[tips.component[pairs[:, 0]] != tips.component[pairs[:, 1]]]
    a, b = pairs.T
    gap = tips.position[b] - tips.position[a]
    long = np.sqrt((gap**2).sum(axis=1))
    least = math.cos(math.radians(ANGLE)) * long
    ahead = ((tips.direction[a] * gap).sum(axis=1) >= least) & (
        (tips.direction[b] * -gap).sum(axis=1) >= least
    )
    candidates = []
    for i, j, length in zip(
        a[ahead].tolist(), b[ahead].tolist(), long[ahead].tolist(), strict=True
    ):
        cost = length * (1 + dimness(tips.position[i], tips.position[j]))
        if cost <= reach:
            numbers = sorted((int(tips.number[i]), int(tips.number[j])))
            candidates.append((round(cost, 6), *numbers, i, j))
    return _cheapest(tips, sorted(candidates))


def _cheapest(
    tips: Tips, candidates: list[tuple[float, int, int, int, int]]
) -> Bridges:
    above: dict[int, int] = {}

    def root(name: int) -> int:
        while name in above:
            name = above[name]
        return name

    used: set[int] = set()
    pairs = []
    for _, low, high, i, j in candidates:
        one, other = (root(int(tips.component[k])) for k in (i, j))
        if one == other or used & {i, j}:
            continue
        used |= {i, j}
        above[max(one, other)] = min(one, other)
        pairs.append((low, high))
    ids = sorted(above)
    return Bridges(
        np.array(sorted(pairs), np.int64).reshape(-1, 2),
        np.array(ids, np.uint64),
        np.array([root(name) for name in ids], np.uint64),
    )
