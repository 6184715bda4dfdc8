"""Neurites as flat arrays: the truth, and what images are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

AXON, DENDRITE, VESSEL = 2, 3, 9
"""Kinds of branches; the first two as in SWC."""

AT_SOMA, FREE = -1, -2
"""Parents of roots: the soma, if the neuron has one, or nothing."""


@dataclass(frozen=True, slots=True)
class Points:
    """Centreline points, sorted by branch."""

    position: NDArray[np.float32]
    """(n, 3), (z, y, x) in voxels."""

    radius: NDArray[np.float32]
    """(n,), in voxels."""

    amplitude: NDArray[np.float32]
    """(n,), brightness before the point spread, in grey levels; below 0 for vessels."""

    branch: NDArray[np.uint32]
    """(n,), row in the table of branches."""

    parent: NDArray[np.int64]
    """(n,), index of the parent point; at a root ``AT_SOMA`` or ``FREE``."""


@dataclass(frozen=True, slots=True)
class Branches:
    """One row for each unbranched stretch."""

    neuron: NDArray[np.uint32]
    """Label of the neuron, from 1; 0 for vessels."""

    kind: NDArray[np.uint8]
    """Axon, dendrite or vessel."""

    snr: NDArray[np.float32]
    """Median contrast on the centreline after the point spread, over the background SD."""

    number: NDArray[np.uint32]
    """Id in the whole brain, from 1; ascending."""

    def chosen(self, rows: NDArray[np.uint32]) -> Branches:
        """Return some of them."""
        return Branches(
            self.neuron[rows], self.kind[rows], self.snr[rows], self.number[rows]
        )

    def rows(self, number: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the rows of branches that are in this table, by their ids."""
        return np.searchsorted(self.number, number)


@dataclass(frozen=True, slots=True)
class Somata:
    """Cell bodies as balls."""

    position: NDArray[np.float32]
    """(n, 3), (z, y, x) in voxels."""

    radius: NDArray[np.float32]
    """(n,), in voxels."""

    amplitude: NDArray[np.float32]
    """(n,), brightness before the point spread, in grey levels."""

    neuron: NDArray[np.uint32]
    """(n,), label of the neuron."""

    number: NDArray[np.int64]
    """(n,), of the soma in the whole brain; what its shape is drawn from."""

    @classmethod
    def none(cls) -> Somata:
        """Return no somata."""
        few = np.zeros(0, np.float32)
        return cls(few.reshape(0, 3), few, few, few.astype(np.uint32), few.astype(int))

    def chosen(self, rows: NDArray[np.bool_]) -> Somata:
        """Return some of them."""
        return Somata(
            self.position[rows],
            self.radius[rows],
            self.amplitude[rows],
            self.neuron[rows],
            self.number[rows],
        )


@dataclass(frozen=True, slots=True)
class Tracing:
    """Neurites and somata: the truth of a brain, or of a part of it."""

    points: Points
    """Centrelines."""

    branches: Branches
    """Branches that centrelines belong to."""

    somata: Somata
    """Cell bodies."""

    @classmethod
    def of_somata(cls, somata: Somata) -> Tracing:
        """Return somata without neurites."""
        few = np.zeros(0, np.float32)
        none = few.astype(np.uint32)
        points = Points(few.reshape(0, 3), few, few, none, few.astype(np.int64))
        return cls(points, Branches(none, few.astype(np.uint8), few, none), somata)

    def neurons(self) -> list[int]:
        """Return the labels of its neurons, ascending."""
        every = np.union1d(self.branches.neuron, self.somata.neuron)
        return [int(neuron) for neuron in every if neuron > 0]

    @classmethod
    def joined(cls, parts: Sequence[Tracing]) -> Tracing:
        """Return several as one; branches must come in the order of their ids."""
        first_point = np.cumsum([0, *(len(t.points.radius) for t in parts)])
        first_branch = np.cumsum([0, *(len(t.branches.snr) for t in parts)])
        parent = [
            np.where(t.points.parent < 0, t.points.parent, t.points.parent + start)
            for t, start in zip(parts, first_point, strict=False)
        ]
        branch = [
            t.points.branch + np.uint32(start)
            for t, start in zip(parts, first_branch, strict=False)
        ]
        points = [t.points for t in parts]
        branches = [t.branches for t in parts]
        somata = [t.somata for t in parts]
        return cls(
            Points(
                stacked([p.position for p in points], (0, 3), np.float32),
                stacked([p.radius for p in points], (0,), np.float32),
                stacked([p.amplitude for p in points], (0,), np.float32),
                stacked(branch, (0,), np.uint32),
                stacked(parent, (0,), np.int64),
            ),
            Branches(
                stacked([b.neuron for b in branches], (0,), np.uint32),
                stacked([b.kind for b in branches], (0,), np.uint8),
                stacked([b.snr for b in branches], (0,), np.float32),
                stacked([b.number for b in branches], (0,), np.uint32),
            ),
            Somata(
                stacked([s.position for s in somata], (0, 3), np.float32),
                stacked([s.radius for s in somata], (0,), np.float32),
                stacked([s.amplitude for s in somata], (0,), np.float32),
                stacked([s.neuron for s in somata], (0,), np.uint32),
                stacked([s.number for s in somata], (0,), np.int64),
            ),
        )


def stacked(
    parts: Sequence[NDArray[Any]], empty: tuple[int, ...], dtype: type
) -> NDArray[Any]:
    """Return arrays one after the other; one of the shape ``empty`` if there are none."""
    return np.concatenate([np.zeros(empty, dtype), *parts]).astype(dtype, copy=False)
