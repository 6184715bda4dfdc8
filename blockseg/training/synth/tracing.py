"""All neurites of a brain as flat arrays: the truth, and what images are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AXON", "DENDRITE", "VESSEL", "Branches", "Points", "Somata", "Tracing"]

AXON, DENDRITE, VESSEL = 2, 3, 9
"""Kinds of branches; the first two as in SWC."""


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
    """(n,), index of the parent point; -1 at a root."""


@dataclass(frozen=True, slots=True)
class Branches:
    """One row for each unbranched stretch."""

    neuron: NDArray[np.uint32]
    """Label of the neuron, from 1; 0 for vessels."""

    kind: NDArray[np.uint8]
    """Axon, dendrite or vessel."""

    snr: NDArray[np.float32]
    """Median contrast on the centreline after the point spread, over the background SD."""


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


@dataclass(frozen=True, slots=True)
class Tracing:
    """Everything that a brain's neurons consist of."""

    points: Points
    """Centrelines."""

    branches: Branches
    """What each centreline belongs to."""

    somata: Somata
    """Cell bodies."""

    def swc(self, neuron: int) -> str:
        """Return a neuron as SWC text; x, y, z and radius in voxels.

        Parameters
        ----------
        neuron
            Its label, from 1.
        """
        own = np.flatnonzero(self.branches.neuron[self.points.branch] == neuron)
        lines = [f"# neuron {neuron}; id type x y z radius parent; voxels"]
        root = -1
        for i in np.flatnonzero(self.somata.neuron == neuron)[:1]:
            z, y, x = self.somata.position[i]
            lines.append(f"1 1 {x:.3f} {y:.3f} {z:.3f} {self.somata.radius[i]:.3f} -1")
            root = 1
        shift = len(lines)
        number = {int(point): shift + row for row, point in enumerate(own)}
        kind = self.branches.kind[self.points.branch[own]]
        for row, point in enumerate(own):
            z, y, x = self.points.position[point]
            parent = number.get(int(self.points.parent[point]), root)
            lines.append(
                f"{shift + row} {kind[row]} {x:.3f} {y:.3f} {z:.3f} "
                f"{self.points.radius[point]:.3f} {parent}"
            )
        return "\n".join(lines) + "\n"
