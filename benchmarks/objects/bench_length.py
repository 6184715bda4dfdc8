"""The estimated length of objects beside that of the neurites they show.

    python -m benchmarks.objects.bench_length [--json FILE] [--quick]

Of the true masks of synthetic brains: the length of the traced paths, the estimate of
``blockseg label``, and the length of a skeleton by thinning (scikit-image), its voxels
joined by the shortest tree.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from benchmarks.infer.infer_machine import machine
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import read_swc
from blockseg.morphology.tube_length import (
    length_unit,
    length_weights,
    neighbourhood_codes,
)

if TYPE_CHECKING:
    from blockseg.core.space import Vector


def traced(folder: Path) -> float:
    """Return the length of all SWC files of a folder, in µm."""
    total = 0.0
    for path in folder.glob("*.swc"):
        tree = read_swc(path)
        child = np.flatnonzero(tree.parent >= 0)
        # What lies in a soma is no neurite.
        child = child[(tree.kind[child] != 1) & (tree.kind[tree.parent[child]] != 1)]
        steps = tree.position[child] - tree.position[tree.parent[child]]
        total += float(np.linalg.norm(steps, axis=1).sum())
    return total


def estimated(mask: np.ndarray, size: Vector) -> float:
    codes = neighbourhood_codes(np.pad(mask, 1))
    return float(length_weights(size)[codes].sum() * length_unit(size))


def thinned(mask: np.ndarray, size: Vector) -> float:
    skeletonize: Any = import_module("skimage.morphology").skeletonize
    line = skeletonize(mask) > 0
    points = np.argwhere(line)
    number = np.full(np.add(line.shape, 2), -1)
    number[1:-1, 1:-1, 1:-1][line] = np.arange(len(points))
    rows, columns, lengths = [], [], []
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step > (0, 0, 0):
            other = number[tuple((points + 1 + step).T)]
            there = np.flatnonzero(other >= 0)
            rows.append(there)
            columns.append(other[there])
            lengths.append(np.full(len(there), np.linalg.norm(np.multiply(step, size))))
    data = (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns)))
    graph = coo_array(data, shape=(len(points),) * 2).tocsr()
    return float(minimum_spanning_tree(graph).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--quick", action="store_true", help="tiny, to see that it runs"
    )
    parser.add_argument(
        "--threads", type=int, help="ignored; for the test of benchmarks"
    )
    given = parser.parse_args()
    shape = "32,64,64" if given.quick else "128,256,256"
    rows: list[dict[str, Any]] = []
    for preset, seed in itertools.product(("clean", "fmost", "lightsheet"), (21, 22)):
        with tempfile.TemporaryDirectory() as folder:
            brain = Path(folder, "brain.zarr")
            words = ["synth", str(brain), "--shape", shape, "--preset", preset]
            words += ["--seed", str(seed), "--scheduler", "serial", "-q"]
            subprocess.run([sys.executable, "-m", "blockseg_cli", *words], check=True)
            volume = open_volume(find(str(brain / "labels" / "truth"), mask=True))
            mask = volume.read(Roi.whole(volume.shape)) > 0
            size = volume.space.voxel_size
            row = {
                "preset": preset,
                "seed": seed,
                "traced_um": traced(brain / ".blockseg" / "truth" / "swc"),
                "estimated_um": estimated(mask, size),
                "thinned_um": thinned(mask, size),
            }
        rows.append(row)
        print(row, flush=True)
    found = {"machine": machine(), "shape": shape, "rows": rows}
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
