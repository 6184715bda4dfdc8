"""Neurons written as SWC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.synthetic.neurons.tracing import AT_SOMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.synthetic.neurons.tracing import Tracing


@dataclass(frozen=True, slots=True)
class BranchRow:
    """Part of a branch inside the volume."""

    branch: int
    """Its id, from 1."""

    neuron: int
    """Label of its neuron, from 1."""

    snr: float
    """Median contrast on the centreline after the point spread, over the background SD."""

    length: float
    """Length of its path inside the volume, in voxels."""


@dataclass(frozen=True, slots=True)
class NeuronSwc:
    """A neuron as SWC."""

    text: str
    """The file."""

    branches: tuple[BranchRow, ...]
    """Its branches that have nodes in it, by ascending id."""


def neuron_swc(
    tracing: Tracing,
    neuron: int,
    *,
    voxel_size: tuple[float, float, float] | None = None,
    inside: Callable[[NDArray[np.float32]], NDArray[np.bool_]] | None = None,
) -> NeuronSwc | None:
    """Return a neuron as SWC text.

    The comments at its head, ``# branch ID FIRST LAST SNR LENGTH``, say which nodes
    belong to a branch, its SNR, and its path length in voxels. A node whose parent
    lies outside is a root.

    Parameters
    ----------
    tracing
        With the whole neuron.
    neuron
        Its label, from 1.
    voxel_size
        Along (z, y, x), in µm; places are then in µm, the centre of the first voxel
        at 0, and radii scaled by the lateral size. Else both are in voxels.
    inside
        Says of points, (n, 3) in voxels, which are written; all if not given.

    Returns
    -------
    The text and its branches; None if nothing lies inside.
    """
    points, table = tracing.points, tracing.branches
    own = np.flatnonzero(table.neuron[points.branch] == neuron)
    soma = np.flatnonzero(tracing.somata.neuron == neuron)[:1]
    if inside is not None:
        own = own[inside(points.position[own])]
        soma = soma[inside(tracing.somata.position[soma])]
    if not len(own) and not len(soma):
        return None
    scale = np.array(voxel_size or (1.0, 1.0, 1.0))
    lines = []
    root = -1
    for i in soma:
        z, y, x = tracing.somata.position[i] * scale
        radius = tracing.somata.radius[i] * scale[2]
        lines.append(f"1 1 {x:.3f} {y:.3f} {z:.3f} {radius:.3f} -1")
        root = 1
    first = len(lines) + 1
    # A node springs from the soma where its stretch begins, not where it was cut.
    parent = np.full(len(own), -1)
    root_at_soma = points.parent[own] == AT_SOMA
    place = np.searchsorted(own, points.parent[own])
    place = np.minimum(place, max(len(own) - 1, 0))
    found = own[place] == points.parent[own] if len(own) else np.zeros(0, bool)
    parent[found] = place[found] + first
    parent[root_at_soma] = root
    branch = points.branch[own]
    where = points.position[own] * scale
    radius = points.radius[own] * scale[2]
    for row, (i, (z, y, x)) in enumerate(zip(branch, where, strict=True)):
        lines.append(
            f"{first + row} {table.kind[i]} {x:.3f} {y:.3f} {z:.3f} "
            f"{radius[row]:.3f} {parent[row]}"
        )
    rows, starts, counts = np.unique(branch, return_index=True, return_counts=True)
    unit = "voxels" if voxel_size is None else "um"
    head = [f"# neuron {neuron}; id type x y z radius parent; {unit}"]
    branches = []
    for i, a, n in zip(rows, starts, counts, strict=True):
        path = points.position[own[a : a + n]]
        # Where a path leaves and comes back, what lies between is not counted.
        step = np.linalg.norm(np.diff(path, axis=0), axis=1)
        length = float(step[np.diff(own[a : a + n]) == 1].sum())
        number, snr = int(table.number[i]), float(table.snr[i])
        branches.append(BranchRow(number, neuron, snr, length))
        head.append(
            f"# branch {number} {first + a} {first + a + n - 1} {snr:.3f} {length:.1f}"
        )
    return NeuronSwc("\n".join(head + lines) + "\n", tuple(branches))
