"""What measuring a block costs beside inferring it: CPU time of one core.

    python benchmarks/bench_cells.py [--shape 128,256,256] [--backend NAME] [--repeat 3]

One block of each kind of synthetic brain is segmented with the shipped weights, and its
cells are counted from what came out, packed as for the ledger. Required: 5 % at most.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.specs import Affine, BackendSpec
from blockseg.metrics import GreyScale, cells_to_bytes, count_cells
from blockseg.model import (
    Engine,
    default_backend,
    default_weights,
    estimate_background,
    load_info,
    make_backend,
)
from blockseg.training.synth import PRESETS, SyntheticBrain

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.geometry import Zyx

WINDOW = (64, 128, 128)


def cpu_seconds(work: Callable[[], object], repeat: int) -> float:
    """Return the least CPU time of several tries; the first one warms up."""
    times = []
    for _ in range(repeat + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times[1:])


def line(name: str, shape: Zyx, backend: str, repeat: int) -> str:
    """Return the row of one kind of brain."""
    roi, info = Roi.whole(shape), load_info(default_weights())
    raw = SyntheticBrain(shape, name, seed=0).image(roi)
    found = estimate_background(list(raw[:: max(1, len(raw) // 16)]), raw.dtype)
    scale = GreyScale(found.level, found.sd, raw.dtype.name, 65535)
    affine = Affine(found.level, found.sd / info.gain, *info.clip)
    window = to_zyx(min(a, b) for a, b in zip(WINDOW, shape, strict=True))
    spec = BackendSpec(backend, str(default_weights()), window)
    engine = Engine(make_backend(spec), affine)
    p = engine.segment(raw, roi, roi, shape).probability
    infer = cpu_seconds(lambda: engine.segment(raw, roi, roi, shape), repeat)
    engine.close()
    measure = cpu_seconds(
        lambda: cells_to_bytes(count_cells(raw, p, roi, scale)), repeat
    )
    table = count_cells(raw, p, roi, scale)
    return (
        f"| {name} | {np.mean(p >= 128):.2%} | {1e9 * infer / roi.size:.0f} | "
        f"{1e9 * measure / roi.size:.1f} | {measure / (infer + measure):.1%} | "
        f"{len(cells_to_bytes(table)) / len(table):.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="128,256,256")
    parser.add_argument("--backend", default=default_backend("cpu"))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    shape = to_zyx(int(n) for n in options.shape.split(","))
    print("| brain | foreground | infer, ns/voxel | measure | share | bytes a cell |")
    print("|---|---|---|---|---|---|")
    for name in sorted(PRESETS):
        print(line(name, shape, options.backend, options.repeat))


if __name__ == "__main__":
    main()
