"""Lines of the true mask of synthetic brains are their centrelines."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.morphology.swc import read_swc
from blockseg.morphology.topology import labelled
from blockseg.skeletons.block_lines import block_lines, joined
from blockseg.skeletons.forest import object_forest
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.neurons.swc import neuron_swc

SIZE = (1.0, 0.35, 0.35)


def points(a, b):
    """Return points every 0.2 µm between pairs of places, and what each stands for."""
    long = np.linalg.norm(a - b, axis=1)
    count = np.maximum(np.ceil(long / 0.2).astype(int), 1)
    row = np.repeat(np.arange(len(a)), count)
    at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    share = ((at + 0.5) / count[row])[:, None]
    return a[row] * (1 - share) + b[row] * share, (long / count)[row]


def true_centrelines(brain, mask, path):
    found = []
    for part in brain.neurites.units:
        for tracing in brain.neurites.owned(part.index):
            for neuron in tracing.neurons():
                made = neuron_swc(tracing, neuron, voxel_size=SIZE, inside=brain.inside)
                if made is None:
                    continue
                path.write_text(made.text)
                tree = read_swc(path)
                child = np.flatnonzero((tree.parent >= 0) & (tree.kind != 1))
                child = child[tree.kind[tree.parent[child]] != 1]
                above = tree.position[tree.parent[child]]
                found.append(points(above, tree.position[child]))
    place = np.concatenate([p for p, _ in found])
    weight = np.concatenate([w for _, w in found])
    voxel = np.floor(place / np.array(SIZE) + 0.5).astype(int)
    inside = ((voxel >= 0) & (voxel < mask.shape)).all(axis=1)
    inside[inside] = mask[tuple(voxel[inside].T)]
    return place[inside], weight[inside]


def near(of, to):
    away, _ = cKDTree(to[0]).query(of[0], distance_upper_bound=3.0)
    return of[1][np.isfinite(away)].sum() / of[1].sum()


@pytest.mark.parametrize(("preset", "seed"), [("fmost", 1), ("lightsheet", 2)])
def test_lines_are_the_true_ones_and_no_branch_is_cut(preset, seed, tmp_path):
    brain = SyntheticBrain((40, 144, 144), preset, seed)
    mask = brain.block(Roi.whole(brain.shape)).mask > 0
    labels = labelled(mask)[0].astype(np.uint64)
    pieces = (
        block_lines(lambda roi: labels[roi.slices()], b.write_roi, mask.shape, SIZE)
        for b in BlockGrid(brain.shape, (24, 64, 56))
    )
    forest = object_forest(joined(pieces), mask.shape, SIZE)
    trees = len(forest) - len(forest.edges)
    assert trees == labels.max() == len(np.unique(forest.component))
    a, b = forest.position[forest.edges.T]
    found, truth = points(a, b), true_centrelines(brain, mask, tmp_path / "a.swc")
    assert near(truth, found) >= 0.98
    assert near(found, truth) >= 0.98
    assert 0.85 < found[1].sum() / truth[1].sum() < 1.1
