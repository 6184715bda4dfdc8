"""What measuring a block costs beside inferring it: CPU time of one core.

    python -m benchmarks.dhpr.bench_cubes [--shape 128,256,256] [--backend NAME] [--repeat 3]

A block of each kind of synthetic brain, and of the dense and the sparse brain of
`bench_run.py`, is segmented as one window with the shipped weights; its cells are counted
from what came out and packed as for the ledger. Required: 5 % at most. Also how long
centrelines are by half the resolution, over those of the masks themselves.

Writes benchmarks/dhpr/results/cubes.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr

from benchmarks.infer.infer_machine import machine
from benchmarks.run import run_brains
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.specs import Affine, BackendSpec
from blockseg.dhpr.cube_bytes import cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.cubes import CUBE
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.inference.backends.table import default_backend, make_backend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.morphology.centreline import skeleton
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights_info import load_info
from blockseg.normalization.background import estimate_background
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

RESULTS = Path(__file__).parent / "results"
WHOLE: Zyx = (256, 512, 512)


@dataclass(frozen=True)
class Row:
    """What was measured on one block."""

    brain: str
    foreground: float
    infer_ns_per_voxel: float
    measure_ns_per_voxel: float
    share: float
    bytes_per_cell: float
    centreline_ratio: float
    centreline_ratio_least: float
    centreline_ratio_most: float


def cpu_seconds(work: Callable[[], object], repeat: int) -> float:
    """Return the least CPU time of several tries; the first one warms up."""
    times = []
    for _ in range(repeat + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times[1:])


def blocks(shape: Zyx, folder: Path) -> dict[str, NDArray[np.uint16]]:
    """Return a block of each kind of brain."""
    found = {
        name: SyntheticBrain(shape, name, seed=0).image(Roi.whole(shape))
        for name in sorted(PRESETS)
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("dense", "sparse"):
        array = zarr.open_array(run_brains.brain(folder, kind, WHOLE) / "0", mode="r")
        middle = Roi.whole(shape).shifted(
            (n - m) // 2 for n, m in zip(WHOLE, shape, strict=True)
        )
        found[kind] = np.asarray(array[middle.slices()])
    return found


def measured(
    name: str, raw: NDArray[np.uint16], engine: Engine, scale: GreyScale, repeat: int
) -> Row:
    """Segment a block and count its cells, each several times."""
    shape = to_zyx(raw.shape)
    roi = Roi.whole(shape)
    p = engine.segment(BlockInput(raw, roi, roi, shape)).probability
    infer = cpu_seconds(
        lambda: engine.segment(BlockInput(raw, roi, roi, shape)), repeat
    )
    measure = cpu_seconds(
        lambda: cubes_to_bytes(count_cubes(raw, p, roi, scale)), 3 * repeat
    )
    table = count_cubes(raw, p, roi, scale)
    halved = table.sum("skeleton")
    whole = []
    for start, stop in zip(table.start.tolist(), table.stop.tolist(), strict=True):
        at = Roi(to_zyx(start), to_zyx(stop)).slices()
        whole.append(int(skeleton(p[at] >= 128).sum()))
    lengths = np.array(whole)
    # Ratios of cells with next to no centreline say nothing.
    long = lengths >= CUBE
    ratios = halved[long] / lengths[long] if long.any() else np.full(1, np.nan)
    return Row(
        name,
        float(np.mean(p >= 128)),
        1e9 * infer / roi.size,
        1e9 * measure / roi.size,
        measure / (infer + measure),
        len(cubes_to_bytes(table)) / len(table),
        float(halved.sum() / max(lengths.sum(), 1)),
        float(ratios.min()),
        float(ratios.max()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="128,256,256")
    parser.add_argument("--backend", default=default_backend("cpu"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/blockseg-bench"))
    parser.add_argument("--json", type=Path, default=RESULTS / "cubes.json")
    given = parser.parse_args()
    shape = to_zyx(int(n) for n in given.shape.split(","))
    info = load_info(default_weights())
    print(
        "| brain | foreground | infer, ns/voxel | measure | share | bytes a cell "
        "| centrelines over whole (cells) |\n|---|---|---|---|---|---|---|"
    )
    rows = []
    for name, raw in blocks(shape, given.folder).items():
        found = estimate_background(list(raw[:: max(1, len(raw) // 16)]), raw.dtype)
        scale = GreyScale(found.level, found.sd, raw.dtype.name, 65535)
        affine = Affine(found.level, found.sd / info.gain, *info.clip)
        backend = make_backend(
            BackendSpec(given.backend, str(default_weights()), shape)
        )
        engine = Engine(backend, affine)
        row = measured(name, raw, engine, scale, given.repeat)
        engine.close()
        rows.append(row)
        print(
            f"| {name} | {row.foreground:.2%} | {row.infer_ns_per_voxel:.0f} | "
            f"{row.measure_ns_per_voxel:.1f} | {row.share:.1%} | "
            f"{row.bytes_per_cell:.0f} | {row.centreline_ratio:.2f} "
            f"({row.centreline_ratio_least:.2f} to {row.centreline_ratio_most:.2f}) |",
            flush=True,
        )
    data = {
        "machine": machine(),
        "window": shape,
        "backend": given.backend,
        "rows": [asdict(row) for row in rows],
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
