"""Skeletons of the true mask of synthetic brains: how true, how whole, how fast.

    python -m benchmarks.objects.bench_skeletonize [--shape 128,384,384] [--kinds fmost dense]

For each way (`skeleton_ways.py`), on one thread: seconds, peak memory above that of the
labels; share of the true length within 3 µm of a line (recall) and of the lines' within
3 µm of a true one (precision); length over the true one, in all and where a neurite has a
tube to itself; objects without a line; lines over objects, which is above 1 where a branch
is cut; cycles; ends, and how many of them are within 2 µm of a true tip and the other way
about; voxels of the line that are others where blocks are done one by one. Prints JSON, and
keeps it in results/skeletonize.json; ways that are not asked for keep their rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from benchmarks.infer.infer_machine import machine
from benchmarks.objects.skeleton_brains import (
    DENSITIES,
    VOXEL_SIZE,
    Line,
    Truth,
    brain_of,
    true_mask,
    truth_of,
    with_somata,
)
from benchmarks.objects.skeleton_ways import BLOCK, WAYS
from blockseg.config.values import parse_shape
from blockseg.morphology.topology import labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "skeletonize.json"
TOLERANCE = 3.0  # µm
AT = 2.0  # µm between an end and a true tip


def scores(
    found: Any, labels: NDArray[np.uint32], truth: Truth, objects: int
) -> dict[str, Any]:
    places, edges = found["places"], found["edges"]
    line = Line.of(places[edges[:, 0]], places[edges[:, 1]])
    count = len(places)
    links = coo_array(
        (np.ones(len(edges), np.int8), tuple(edges.T)), shape=(count,) * 2
    )
    trees, tree = connected_components(links, directed=False)
    voxel = np.rint(places / np.array(VOXEL_SIZE)).astype(int)
    voxel = np.clip(voxel, 0, np.array(labels.shape) - 1)
    object_of = labels[tuple(voxel.T)]
    # The object of a line is that of most of its places: smoothed ones may lie beside it.
    _, first = np.unique(tree[object_of > 0], return_index=True)
    named = object_of[object_of > 0][first]
    wall, cpu = found["seconds"].tolist()
    ends = places[np.bincount(edges.reshape(-1), minlength=count) == 1]
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "million_voxels_a_second": round(labels.size / cpu / 1e6, 2),
        "peak_mb": round((int(found["peak"]) - int(found["before"])) / 1e6),
        "recall": round(_near(truth.line, line), 4),
        "precision": round(_near(line, truth.line), 4),
        "length": round(float(line.weights.sum() / truth.line.weights.sum()), 4),
        "length_of_lone": round(_length_of_lone(line, truth), 4),
        "lines": int(trees),
        "objects_without_a_line": int(objects - len(np.unique(named))),
        "cycles": int(len(edges) - count + trees),
        "ends": len(ends),
        "ends_at_tips": int((cKDTree(truth.tips).query(ends)[0] <= AT).sum()),
        "tips_at_ends": int((cKDTree(ends).query(truth.tips)[0] <= AT).sum()),
    }


def _length_of_lone(line: Line, truth: Truth) -> float:
    """Return length over the true one, of neurites that have a tube to themselves."""
    _, nearest = cKDTree(truth.line.points).query(line.points)
    found = line.weights[truth.lone[nearest]].sum()
    return float(found / truth.line.weights[truth.lone].sum())


def _voxels(
    places: NDArray[np.float64], labels: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Return the numbers of the voxels that places lie in, each once."""
    voxel = np.rint(places / np.array(VOXEL_SIZE)).astype(np.int64)
    z, y, x = np.clip(voxel, 0, np.array(labels.shape) - 1).T
    return np.unique(np.ravel_multi_index((z, y, x), labels.shape))


def _near(of: Line, to: Line) -> float:
    away, _ = cKDTree(to.points).query(of.points, distance_upper_bound=TOLERANCE)
    near: float = of.weights[np.isfinite(away)].sum() / of.weights.sum()
    return float(near)


def measured(kind: str, shape: Any, ways: list[str]) -> dict[str, Any]:
    brain = brain_of(kind, shape)
    mask = true_mask(brain)
    truth = truth_of(brain, mask)
    if kind == "somata":
        mask = with_somata(mask)
    labels = labelled(mask)[0].astype(np.uint32)
    objects = int(labels.max())
    rows: dict[str, dict[str, Any]] = {}
    blocks: dict[str, NDArray[np.int64]] = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "labels.npy"), labels)
        for way in ways:
            out = Path(folder, "out.npz")
            module = "benchmarks.objects.skeleton_ways"
            command = [
                sys.executable,
                "-m",
                module,
                way,
                f"{folder}/labels.npy",
                str(out),
            ]
            subprocess.run(command, check=True)
            found = np.load(out)
            rows[way] = scores(found, labels, truth, objects)
            print(kind, way, rows[way], flush=True)
            library, _, what = way.partition(", ")
            voxels = _voxels(found["places"], labels)
            if what == "whole" and library in blocks:
                differ = len(np.setxor1d(voxels, blocks[library]))
                rows[way]["voxels_that_blocks_change"] = differ
                rows[way]["voxels"] = len(voxels)
            else:
                blocks[library] = voxels
    return {
        "shape": list(shape),
        "foreground": round(float(mask.mean()), 5),
        "objects": objects,
        "true_length_um": round(float(truth.line.weights.sum())),
        "true_tips": len(truth.tips),
        "share_of_lone": round(
            float(truth.line.weights[truth.lone].sum() / truth.line.weights.sum()),
            4,
        ),
        "ways": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="128,384,384")
    parser.add_argument("--kinds", nargs="+", default=list(DENSITIES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    given = parser.parse_args()
    shape = parse_shape("shape", given.shape)
    brains: dict[str, Any] = {}
    result = {
        "machine": machine(),
        "voxel_size_um": list(VOXEL_SIZE),
        "block": list(BLOCK),
        "brains": brains,
    }
    if RESULTS.exists():
        brains |= json.loads(RESULTS.read_text())["brains"]
    for kind in given.kinds:
        found = measured(kind, shape, given.ways)
        before = brains.get(kind, {})
        if before.get("shape") == found["shape"]:
            found["ways"] = before["ways"] | found["ways"]
        brains[kind] = found
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
