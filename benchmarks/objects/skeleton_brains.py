"""Masks with true centrelines that skeletons are measured on, from seeds."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.morphology.swc import read_swc
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.neurons.swc import neuron_swc
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.morphology.swc import Tree

SEED = 60_000  # of no training and no other benchmark
VOXEL_SIZE = (1.0, 0.35, 0.35)
DENSITIES = {"fmost": None, "somata": None, "dense": 2700.0}
"""Axon per volume; 2700 makes 5 % of the voxels foreground. In ``somata`` cell bodies are
foreground too, as balls."""
STEP = 0.25
"""µm between points on a line."""


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


def true_lines(brain: SyntheticBrain, mask: NDArray[np.bool_]) -> Line:
    """Return the centrelines of a brain's neurites, as far as they lie in a mask."""
    starts, stops = [], []
    for part in brain.neurites.units:
        for tracing in brain.neurites.owned(part.index):
            for neuron in tracing.neurons():
                tree = neuron_swc(
                    tracing, neuron, voxel_size=VOXEL_SIZE, inside=brain.inside
                )
                if tree is None:
                    continue
                nodes = _read(tree.text)
                child = np.flatnonzero((nodes.parent >= 0) & (nodes.kind != 1))
                child = child[nodes.kind[nodes.parent[child]] != 1]
                starts.append(nodes.position[nodes.parent[child]])
                stops.append(nodes.position[child])
    line = Line.of(np.concatenate(starts), np.concatenate(stops))
    voxel = np.floor(line.points / np.array(VOXEL_SIZE) + 0.5).astype(int)
    box = Roi.whole(mask.shape)
    inside = ((voxel >= box.start) & (voxel < box.stop)).all(axis=1)
    inside[inside] = mask[tuple(voxel[inside].T)]
    return Line(line.points[inside], line.weights[inside])


def _read(text: str) -> Tree:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neuron.swc"
        path.write_text(text)
        return read_swc(path)
