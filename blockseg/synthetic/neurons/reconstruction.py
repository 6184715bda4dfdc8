"""Real neurons from SWC files, cut into unbranched stretches and smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.files import TABLE_BYTES, read_text
from blockseg.morphology.swc import read_swc
from blockseg.synthetic.neurons.tracing import AXON, DENDRITE
from blockseg.synthetic.neurons.walks import STEP

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.morphology.swc import Tree

_SOMA = 1
_LONGEST = 100.0  # µm: so that little of a neuron is drawn for a small region


@dataclass(frozen=True, slots=True)
class Stretch:
    """A neurite from a root or a branch point to the next branch point or tip.

    Long ones are cut where the course simply goes on.
    """

    node: NDArray[np.int64]
    """Rows of its nodes, the branch point that it springs from included."""

    parent: int
    """Number of the stretch that it springs from; -1 for a root."""

    kind: int
    """Axon or dendrite."""

    at_soma: bool
    """Whether it is a root that springs from the soma."""

    before: int
    """Row of the node that its course goes on from; -1 if it turns off there."""

    after: int
    """Row of the node that its course goes on to; -1 if it ends."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """A traced neuron."""

    name: str
    """Name of its file."""

    position: NDArray[np.float64]
    """Nodes, (n, 3), (z, y, x) in µm; 0 is in the middle."""

    radius: NDArray[np.float64]
    """(n,), in µm."""

    stretches: tuple[Stretch, ...]
    """Parents before children."""

    soma: NDArray[np.float64] | None
    """Centre of the soma, (z, y, x) in µm, if the file has one."""

    has_radii: bool
    """Whether radii were measured: all being equal, or 0, means that they were not."""

    @property
    def extent(self) -> float:
        """Distance of the farthest node from the middle, in µm."""
        return float(np.linalg.norm(self.position, axis=1).max())

    @property
    def length(self) -> float:
        """Path length of all neurites, in µm."""
        paths = (np.diff(self.position[s.node], axis=0) for s in self.stretches)
        return float(sum(np.linalg.norm(path, axis=1).sum() for path in paths))


def read_reconstruction(path: Path) -> Reconstruction:
    """Read a neuron from an SWC file, in µm.

    Raises
    ------
    VolumeError
        If the file is damaged or holds no neurite; names the line.
    """
    tree = read_swc(path)
    body = tree.kind == _SOMA
    stretches = _stretches(tree, _children(tree, path))
    if not stretches:
        message = f"{path} holds no neurite of two nodes; leave it out"
        raise VolumeError(message)
    neurite = tree.radius[~body]
    middle = (tree.position.min(axis=0) + tree.position.max(axis=0)) / 2
    return Reconstruction(
        tree.name,
        tree.position - middle,
        tree.radius,
        stretches,
        tree.position[body].mean(axis=0) - middle if body.any() else None,
        bool(neurite.min() > 0 and neurite.max() > 1.01 * neurite.min()),
    )


def _children(tree: Tree, path: Path) -> list[list[int]]:
    """Return the children of each node, after a look for circles."""
    children: list[list[int]] = [[] for _ in tree.parent]
    for row, parent in enumerate(tree.parent):
        if parent >= 0:
            children[parent].append(row)
    seen = np.zeros(len(tree.parent), bool)
    todo = np.flatnonzero(tree.parent < 0).tolist()
    while todo:
        row = todo.pop()
        seen[row] = True
        todo += children[row]
    if not seen.all():
        line = _line_of(path, int(np.argmin(seen)))
        message = f"{path}, line {line} belongs to a circle of parents; mend the file"
        raise VolumeError(message)
    return children


def _line_of(path: Path, row: int) -> int:
    text = read_text(path, TABLE_BYTES, errors="replace")
    nodes = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.partition("#")[0].strip()
    ]
    return nodes[row]


def _stretches(tree: Tree, children: list[list[int]]) -> tuple[Stretch, ...]:
    body = tree.kind == _SOMA
    neurites = [[c for c in below if not body[c]] for below in children]
    found: list[Stretch] = []
    # First nodes, the stretch that they spring from, and what their course goes on from.
    todo: list[tuple[list[int], int, bool, int]] = []
    for row in np.flatnonzero(~body).tolist():
        parent = tree.parent[row]
        if parent >= 0 and not body[parent]:
            continue
        at_soma = bool(parent >= 0)
        todo += [([row, c], -1, at_soma, -1) for c in neurites[row]]
    while todo:
        path, parent, at_soma, before = todo.pop()
        length = _apart(tree, path[0], path[1])
        while len(neurites[path[-1]]) == 1 and length < _LONGEST:
            path.append(neurites[path[-1]][0])
            length += _apart(tree, path[-2], path[-1])
        on = neurites[path[-1]]
        straight = _straightest(tree.position, path, on)
        number = len(found)
        kind = DENDRITE if tree.kind[path[1]] in (3, 4) else AXON
        found.append(Stretch(np.array(path), parent, kind, at_soma, before, straight))
        todo += [
            ([path[-1], c], number, False, path[-2] if c == straight else -1)
            for c in on
        ]
    return tuple(found)


def _apart(tree: Tree, a: int, b: int) -> float:
    return float(np.linalg.norm(tree.position[a] - tree.position[b]))


def _straightest(position: NDArray[np.float64], path: list[int], on: list[int]) -> int:
    """Return which of the nodes after a path goes straightest on; -1 if none does."""
    if not on:
        return -1
    along = position[path[-1]] - position[path[-2]]
    ways = position[on] - position[path[-1]]
    size = np.maximum(np.linalg.norm(ways, axis=1) * np.linalg.norm(along), 1e-12)
    return on[int(np.argmax(ways @ along / size))]


def smooth_path(
    nodes: NDArray[np.float64],
    radius: NDArray[np.float64],
    before: NDArray[np.float64] | None = None,
    after: NDArray[np.float64] | None = None,
    step: float = STEP,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a smooth path through nodes, sampled evenly, and its radius.

    A centripetal Catmull-Rom spline (Yuksel, Schaefer, Keyser: Parameterization and
    applications of Catmull-Rom curves, 2011): it makes no loops, and stays within a third
    of the longest distance of two nodes from the straight path.

    Parameters
    ----------
    nodes, radius
        (n, 3) with n of 2 or more, and (n,), in voxels.
    before, after
        Nodes that the course comes from and goes to; it starts and ends straight
        where they are not given.
    step
        Distance of the points, in voxels.

    Returns
    -------
    Points (m, 3) from the first to the last node, and radii (m,).
    """
    apart = np.linalg.norm(np.diff(nodes, axis=0), axis=1) > 1e-6
    kept = np.concatenate([[True], apart])
    nodes, radius = nodes[kept], radius[kept]
    if len(nodes) < 2:
        return nodes.astype(np.float32), radius
    first = 2 * nodes[0] - nodes[1] if before is None else before
    last = 2 * nodes[-1] - nodes[-2] if after is None else after
    full = np.vstack([first, nodes, last])
    chord = np.maximum(np.linalg.norm(np.diff(full, axis=0), axis=1), 1e-6)
    dt = np.sqrt(chord)
    slope = np.diff(full, axis=0) / dt[:, None]
    # The slope at a node: of the parabola through it and its neighbours.
    tangent = (dt[1:, None] * slope[:-1] + dt[:-1, None] * slope[1:]) / (
        dt[:-1] + dt[1:]
    )[:, None]
    count = np.maximum(np.ceil(2 * chord[1:-1] / step), 2).astype(int)
    segment = np.repeat(np.arange(len(count)), count)
    start = np.repeat(np.cumsum(count) - count, count)
    t = (np.arange(len(segment)) - start) / count[segment]
    u = t[:, None]
    h = dt[1:-1][segment][:, None]
    curve = (
        (2 * u**3 - 3 * u**2 + 1) * nodes[segment]
        + (u**3 - 2 * u**2 + u) * h * tangent[segment]
        + (3 * u**2 - 2 * u**3) * nodes[segment + 1]
        + (u**3 - u**2) * h * tangent[segment + 1]
    )
    curve = np.vstack([curve, nodes[-1]])
    thick = np.append((1 - t) * radius[segment] + t * radius[segment + 1], radius[-1])
    along = np.append(0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)))
    even = np.linspace(0, along[-1], max(2, round(along[-1] / step) + 1))
    points = np.column_stack([np.interp(even, along, axis) for axis in curve.T])
    return points.astype(np.float32), np.interp(even, along, thick)
