"""All coordinates are µm from the origin of the source: each output against the others.

On a part of a brain that lies far from the origin, whose objects are labelled and traced.
"""

import csv
from typing import Any

import nibabel
import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import read_swc

SERIAL = ("--scheduler", "serial", "-q")


def opened(path):
    volume = open_volume(find(str(path), mask=True))
    return volume.read(Roi.whole(volume.shape)), volume.space


@pytest.fixture(scope="module")
def traced(shared_blockseg, placed_out):
    """Output with labels, traces, a density map and an exported mask, all of one grid."""
    import shutil

    out = shared_blockseg.folder / "out.zarr"
    shutil.copytree(placed_out, out)
    for words in (
        ("label", out),
        ("skeletonize", out, "--min-length", "3"),
        ("density", out, "--voxel-size", "4,1.4,1.4"),
        ("export", out, "--voxel-size", "4,1.4,1.4", "--what", "clean", "-o", "m.nii"),
    ):
        shared_blockseg(*words, *SERIAL)
    return out


@pytest.fixture(scope="module")
def trees(traced):
    """Nodes of all traces in µm, by object."""
    return {
        int(path.stem): read_swc(path)
        for path in sorted((traced / "traces/swc").iterdir())
    }


def test_the_output_lies_where_its_roi_does_in_the_source(traced, box):
    for within in (
        "",
        "labels/foreground",
        "labels/components",
        "labels/foreground_clean",
    ):
        _, space = opened(traced / within)
        corner = np.array(space.translation) - np.array(space.voxel_size) / 2
        assert corner == pytest.approx(box[0]), within


def test_nodes_of_traces_lie_in_their_objects(traced, trees):
    labels, space = opened(traced / "labels/components")
    assert len(trees) > 5
    hit = total = 0
    for item, tree in trees.items():
        place = (tree.position - space.translation) / space.voxel_size
        voxel = np.floor(place + 0.5).astype(int)
        found = labels[tuple(voxel.T)]
        hit += int((found == item).sum())
        total += len(found)
    assert hit / total > 0.99


def test_centroids_and_boxes_of_the_table_are_those_of_the_labels(traced, trees):
    labels, space = opened(traced / "labels/components")
    with (traced / "tables/objects.csv").open() as file:
        rows = {int(row["id"]): row for row in csv.DictReader(file)}
    for item, tree in trees.items():
        row = rows[item]
        voxel = np.argwhere(labels == item)
        centroid = space.translation + voxel.mean(axis=0) * space.voxel_size
        said = [float(row[f"{axis}_um"]) for axis in "zyx"]
        assert said == pytest.approx(centroid.tolist(), rel=1e-5)
        start = np.array([int(row[f"{axis}_start"]) for axis in "zyx"])
        stop = np.array([int(row[f"{axis}_stop"]) for axis in "zyx"])
        low = space.translation + (start - 0.5) * np.array(space.voxel_size)
        high = space.translation + (stop - 0.5) * np.array(space.voxel_size)
        assert (tree.position >= low - 0.01).all()
        assert (tree.position <= high + 0.01).all()


def test_the_density_map_lies_on_the_traces(traced, trees, box):
    density, space = opened(traced / "density")
    corner = np.array(space.translation) - np.array(space.voxel_size) / 2
    assert corner == pytest.approx(box[0])
    for tree in trees.values():
        place = (tree.position - space.translation) / space.voxel_size
        voxel = np.floor(place + 0.5).astype(int)
        # A node has a segment, which passes its voxel or ends at its face.
        assert (density[tuple(voxel.T)] > 0).mean() > 0.95
    length = sum(
        np.linalg.norm(
            tree.position[tree.parent >= 0]
            - tree.position[tree.parent[tree.parent >= 0]],
            axis=1,
        ).sum()
        for tree in trees.values()
    )
    voxel_volume = np.prod(space.voxel_size)
    assert density.astype(float).sum() * voxel_volume / 1e9 == pytest.approx(
        length, rel=1e-3
    )


def test_an_exported_mask_lies_under_the_density_map(traced, shared_blockseg):
    density, space = opened(traced / "density")
    image: Any = nibabel.load(shared_blockseg.folder / "m.nii")
    share = np.asarray(image.dataobj).transpose()
    assert share.shape == density.shape
    place = image.affine[:3, 3][::-1] * 1000
    assert place == pytest.approx(np.array(space.translation), rel=1e-6)
    assert np.diag(image.affine)[2::-1] * 1000 == pytest.approx(space.voxel_size)
    # Centrelines run inside their objects.
    assert density[share > 0].sum() > 0.99 * density.sum()


def test_traces_lie_on_the_neurons_that_were_drawn(trees, brain):
    from scipy.spatial import cKDTree

    truth = [
        read_swc(path).position
        for path in sorted((brain / ".blockseg/truth/swc").iterdir())
    ]
    # The brain was drawn at the origin and then placed.
    drawn = cKDTree(np.concatenate(truth) + np.array((500.0, -40.0, 7.25)))
    nodes = np.concatenate([tree.position for tree in trees.values()])
    distance, _ = drawn.query(nodes)
    assert np.median(distance) < 1.5
