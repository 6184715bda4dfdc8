"""Masks with true centrelines that skeletons are measured on, from seeds."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.morphology.swc import read_swc
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.neurons.swc import neuron_swc
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.morphology.swc import Tree

SEED = 60_000  # of no training and no other benchmark
VOXEL_SIZE = (1.0, 0.35, 0.35)
DENSITIES = {"fmost": None, "somata": None, "dense": 2700.0}
"""Axon per volume; 2700 makes 5 % of the voxels foreground. In ``somata`` cell bodies are
foreground too, as balls."""
STEP = 0.25
"""µm between points on a line."""

LONE = 1.0
"""µm: the longest edge of a voxel."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points on lines, and how much of their length each stands for."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, a: NDArray[np.float64], b: NDArray[np.float64]) -> Line:
        """Return points every quarter of a µm between pairs of places."""
        long = np.sqrt(((a - b) ** 2).sum(axis=1))
        count = np.maximum(np.ceil(long / STEP).astype(int), 1)
        row = np.repeat(np.arange(len(a)), count)
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        share = ((at + 0.5) / count[row])[:, None]
        return cls(a[row] * (1 - share) + b[row] * share, (long / count)[row])


def brain_of(kind: str, shape: Zyx) -> SyntheticBrain:
    """Return a brain whose neurites are drawn once asked for."""
    params = preset("fmost")
    density = DENSITIES[kind]
    if density is not None:
        dense = replace(params.morphology, axon_density=density)
        params = replace(params, morphology=dense)
    return SyntheticBrain(shape, params, SEED)


def with_somata(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with a ball of 10 µm radius in each 64×192×192 voxels."""
    out = mask.copy()
    rng = np.random.default_rng(SEED)
    places = np.indices(
        [max(1, n // e) for n, e in zip(mask.shape, (64, 192, 192), strict=True)]
    )
    for index in places.reshape(3, -1).T:
        centre = (index + rng.uniform(0.25, 0.75, 3)) * (64, 192, 192)
        reach = np.ceil(10 / np.array(VOXEL_SIZE)).astype(int)
        low = np.maximum(np.floor(centre).astype(int) - reach, 0)
        high = np.minimum(np.floor(centre).astype(int) + reach + 1, mask.shape)
        box = tuple(map(slice, low, high))
        away = sum(
            ((g - c) * s) ** 2
            for g, c, s in zip(np.ogrid[box], centre, VOXEL_SIZE, strict=True)
        )
        out[box] |= np.asarray(away) <= 100
    return out


def true_mask(brain: SyntheticBrain) -> NDArray[np.bool_]:
    """Return the neurites of a brain, shape (z, y, x)."""
    out = np.zeros(brain.shape, bool)
    block = to_zyx(min(n, b) for n, b in zip(brain.shape, (64, 128, 512), strict=True))
    for part in BlockGrid(brain.shape, block):
        out[part.write_roi.slices()] = brain.block(part.write_roi).mask
    return out


@dataclass(frozen=True, slots=True)
class Truth:
    """Neurites of a brain as they were drawn, as far as they lie in its mask."""

    line: Line
    """Their centrelines."""

    tips: NDArray[np.float64]
    """(n, 3), their ends, those at the faces of the volume included."""

    lone: NDArray[np.bool_]
    """Of each point of the line, whether no other path between branchings is within
    :data:`LONE`: where two lie in one tube, a mask shows one."""


def truth_of(brain: SyntheticBrain, mask: NDArray[np.bool_]) -> Truth:
    """Return the neurites of a brain; what lies in a soma is none."""
    lines, tips, along = [], [], []
    path: list[NDArray[np.int64]] = []
    before = 0
    for tree in _trees(brain):
        degree = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent))
        degree += tree.parent >= 0
        tips.append(tree.position[(degree == 1) & (tree.kind != 1)])
        child = np.flatnonzero((tree.parent >= 0) & (tree.kind != 1))
        child = child[tree.kind[tree.parent[child]] != 1]
        above = tree.parent[child]
        # Parents come before their children.
        name = np.arange(len(degree)) + before
        for node in np.flatnonzero(tree.parent >= 0):
            if degree[tree.parent[node]] == 2:
                name[node] = name[tree.parent[node]]
        line = Line.of(tree.position[above], tree.position[child])
        long = np.linalg.norm(tree.position[above] - tree.position[child], axis=1)
        count = np.maximum(np.ceil(long / STEP).astype(int), 1)
        lines.append(line)
        path.append(np.repeat(name[child], count))
        along.append(np.cumsum(line.weights))
        before += len(degree)
    line = Line(
        np.concatenate([one.points for one in lines]),
        np.concatenate([one.weights for one in lines]),
    )
    inside = _inside(line.points, mask)
    line = Line(line.points[inside], line.weights[inside])
    of, way = np.concatenate(path)[inside], np.concatenate(along)[inside]
    lone = np.ones(len(of), bool)
    pairs = cKDTree(line.points).query_pairs(LONE, output_type="ndarray")
    one, other = pairs.T
    others = (of[one] != of[other]) | (np.abs(way[one] - way[other]) > 4 * LONE)
    lone[pairs[others]] = False
    return Truth(line, np.concatenate(tips), lone)


def _trees(brain: SyntheticBrain) -> Iterator[Tree]:
    for part in brain.neurites.units:
        for tracing in brain.neurites.owned(part.index):
            for neuron in tracing.neurons():
                tree = neuron_swc(
                    tracing, neuron, voxel_size=VOXEL_SIZE, inside=brain.inside
                )
                if tree is not None:
                    yield _read(tree.text)


def _inside(points: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which places lie in a mask."""
    voxel = np.floor(points / np.array(VOXEL_SIZE) + 0.5).astype(int)
    box = Roi.whole(to_zyx(mask.shape))
    inside: NDArray[np.bool_] = ((voxel >= box.start) & (voxel < box.stop)).all(axis=1)
    inside[inside] = mask[tuple(voxel[inside].T)]
    return inside


def _read(text: str) -> Tree:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neuron.swc"
        path.write_text(text)
        return read_swc(path)
