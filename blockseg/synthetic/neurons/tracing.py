"""Neurites as flat arrays: the truth, and what images are made from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

AXON, DENDRITE, VESSEL = 2, 3, 9
"""Kinds of branches; the first two as in SWC."""

AT_SOMA, FREE = -1, -2
"""Parents of roots: the soma, if the neuron has one, or nothing."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrays of one length: a row of all of them stands for one thing."""

    dtypes: ClassVar[tuple[type[np.generic], ...]] = ()
    """Data type of each array, in the order of the fields."""

    @classmethod
    def none(cls) -> Self:
        """Return no rows."""
        columns = zip((field.name for field in fields(cls)), cls.dtypes, strict=True)
        shapes = (((0, 3) if name == "position" else 0, of) for name, of in columns)
        return cls(*(np.zeros(shape, of) for shape, of in shapes))

    def chosen(self, rows: NDArray[Any]) -> Self:
        """Return some of them: numbers, or a mask of shape (n,)."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Return the rows of all parts, one part after the other."""
        every = [cls.none(), *parts]
        names = (field.name for field in fields(cls))
        return cls(*(np.concatenate([getattr(p, n) for p in every]) for n in names))


@dataclass(frozen=True, slots=True)
class Points(Rows):
    """Centreline points, sorted by branch."""

    dtypes = (np.float32, np.float32, np.float32, np.uint32, np.int64)

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
class Branches(Rows):
    """One row for each unbranched stretch."""

    dtypes = (np.uint32, np.uint8, np.float32, np.uint32)

    neuron: NDArray[np.uint32]
    """Label of the neuron, from 1; 0 for vessels."""

    kind: NDArray[np.uint8]
    """Axon, dendrite or vessel."""

    snr: NDArray[np.float32]
    """Median contrast on the centreline after the point spread, over the background SD."""

    number: NDArray[np.uint32]
    """Id in the whole brain, from 1; ascending."""

    def rows(self, number: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the rows of branches that are in this table, by their ids."""
        return np.searchsorted(self.number, number)


@dataclass(frozen=True, slots=True)
class Somata(Rows):
    """Cell bodies as balls."""

    dtypes = (np.float32, np.float32, np.float32, np.uint32, np.int64)

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


@dataclass(frozen=True, slots=True)
class Tracing:
    """Neurites and somata: the truth of a brain, or of a part of it."""

    points: Points
    """Centrelines."""

    branches: Branches
    """Branches that centrelines belong to."""

    somata: Somata
    """Cell bodies."""

    def neurons(self) -> list[int]:
        """Return the labels of its neurons, ascending."""
        every = np.union1d(self.branches.neuron, self.somata.neuron)
        return [int(neuron) for neuron in every if neuron > 0]

    @classmethod
    def joined(cls, parts: Sequence[Tracing]) -> Tracing:
        """Return several as one; branches must come in the order of their ids."""
        first_point = np.cumsum([0, *(len(t.points.radius) for t in parts)])
        first_branch = np.cumsum([0, *(len(t.branches.snr) for t in parts)])
        points = [
            replace(
                p,
                branch=p.branch + np.uint32(branch),
                parent=np.where(p.parent < 0, p.parent, p.parent + point),
            )
            for p, point, branch in zip(
                (t.points for t in parts), first_point, first_branch, strict=False
            )
        ]
        return cls(
            Points.joined(points),
            Branches.joined(t.branches for t in parts),
            Somata.joined(t.somata for t in parts),
        )
