"""What counting regions, mapping density and exporting cost, beside reading alone.

    python -m benchmarks.objects.bench_regions [--nodes 400000] [--shape 256,512,512]

One process, CPU time. Traces are random walks of 1 µm steps; the atlas is a Voronoi one
of 25 µm and 600 regions. Reading is that of the same SWC files, or of the same voxels.

Writes benchmarks/objects/results/regions.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from benchmarks.infer.infer_machine import machine
from blockseg.atlas.affine import AffineMap
from blockseg.atlas.census import foreground_of
from blockseg.atlas.lengths import by_region, by_voxel
from blockseg.atlas.volume import Atlas, AtlasSpec
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.space import Space
from blockseg.core.specs import VolumeSpec
from blockseg.export.averaging import MeanGrid, means
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.protocol import MemoryVolume
from blockseg.morphology.swc import read_swc

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
EXTENT = (3000.0, 4000.0, 4000.0)  # µm
FILES = 40


def cpu(work: Callable[[], object], repeat: int = 3) -> float:
    """Return the least CPU time of a few tries, in seconds."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def walks(folder: Path, nodes: int) -> list[Path]:
    """Write random walks that stay inside."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(FILES):
        steps = rng.normal(size=(nodes // FILES, 3))
        steps /= np.linalg.norm(steps, axis=1)[:, None]
        steps = np.cumsum(steps + 0.2 * rng.normal(size=3), axis=0)
        place = np.abs(
            (steps + rng.uniform(0, EXTENT)) % (2 * np.array(EXTENT)) - EXTENT
        )
        lines = [
            f"{k} 2 {x:.3f} {y:.3f} {z:.3f} 0.5 {k - 1 if k > 1 else -1}"
            for k, (z, y, x) in enumerate(place.tolist(), 1)
        ]
        paths.append(folder / f"{number:03d}.swc")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def voronoi() -> Atlas:
    """Return an atlas of 600 regions and 25 µm, in memory."""
    from scipy.spatial import cKDTree

    shape = to_zyx(int(n / 25) for n in EXTENT)
    rng = np.random.default_rng(1)
    places = np.indices(shape).reshape(3, -1).T
    nearest = cKDTree(rng.uniform(0, shape, (600, 3))).query(places)[1]
    ids = (1 + nearest).astype(np.uint32).reshape(shape)
    space = Space((25.0,) * 3, "micrometer")
    spec = AtlasSpec(VolumeSpec("the array", "memory"), shape, space, "uint32")
    return Atlas(spec, MemoryVolume(ids, space))


def of_traces(nodes: int) -> dict[str, Any]:
    """Return seconds for a million nodes, and over reading them alone."""
    with tempfile.TemporaryDirectory() as folder:
        paths = walks(Path(folder), nodes)
        trees = [read_swc(path) for path in paths]
        atlas = voronoi()
        shape = atlas.spec.shape
        turn = AffineMap(((1.0, 0.01, 0, 5), (0, 1.0, 0.02, 0), (0, 0, 1.0, 0)))
        reading = cpu(lambda: [read_swc(path) for path in paths], 2)
        ways: dict[str, Callable[[], object]] = {
            "by region": lambda: [by_region(tree, atlas) for tree in trees],
            "by region, by an affine map": lambda: [
                by_region(tree, atlas, turn) for tree in trees
            ],
            "by voxel of 25 µm": lambda: [
                by_voxel(tree, shape, atlas.spec.space) for tree in trees
            ],
        }
        found = {name: cpu(work) for name, work in ways.items()}
    million = nodes / 1e6
    return {
        "nodes": nodes,
        "reading_s_per_million_nodes": round(reading / million, 3),
        "s_per_million_nodes": {k: round(v / million, 3) for k, v in found.items()},
        "over_reading": {k: round(v / reading, 3) for k, v in found.items()},
    }


def of_voxels(shape: tuple[int, int, int]) -> dict[str, Any]:
    """Return nanoseconds a voxel of averaging and of counting, and of reading alone."""
    rng = np.random.default_rng(2)
    atlas = voronoi()
    with tempfile.TemporaryDirectory() as folder:
        data = rng.poisson(200, shape).astype(np.uint16)
        zarr.create_array(
            Path(folder, "image.zarr"), data=data, chunks=(64, 64, 64),
            dimension_names=list("zyx"),
        )  # fmt: skip
        volume = open_volume(find(Path(folder, "image.zarr")))
        size = (25.0, 25 / 0.7, 25 / 0.7)
        grid = MeanGrid((0.0, 0.0, 0.0), tuple(map(float, shape)), size)  # type: ignore[arg-type]
        whole = Roi.whole(shape)
        reading = cpu(lambda: open_volume(find(Path(folder, "image.zarr"))).read(whole))
        averaging = cpu(
            lambda: means(
                open_volume(find(Path(folder, "image.zarr"))),
                grid,
                Roi.whole(grid.shape),
            )
        )
        del volume
    mask = np.nonzero(rng.random(shape) < 0.05)
    items = rng.integers(1, 10_000, len(mask[0]))
    axes = tuple(np.arange(float(n)) for n in shape)

    def count() -> object:
        ids, index = atlas.along(axes)
        z, y, x = (along[place] for along, place in zip(index, mask, strict=True))
        return foreground_of(ids[z, y, x], items)

    counting = cpu(count)
    voxels = float(np.prod(shape))
    return {
        "shape": list(shape),
        "reading_ns_per_voxel": round(1e9 * reading / voxels, 2),
        "averaging_ns_per_voxel": round(1e9 * averaging / voxels, 2),
        "averaging_over_reading": round(averaging / reading, 2),
        "counting_5_percent_ns_per_voxel": round(1e9 * counting / voxels, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=400_000)
    parser.add_argument("--shape", default="256,512,512")
    asked = parser.parse_args()
    shape = to_zyx(int(n) for n in asked.shape.split(","))
    result = {
        "machine": machine(),
        "traces": of_traces(asked.nodes),
        "voxels": of_voxels(shape),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / "regions.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
