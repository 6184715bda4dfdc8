"""A run's engines with nothing else to do, a process each: what ``bench_run`` compares with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np


def engines(shape: Any, decisions: Any, workers: int, weights: str) -> dict[str, Any]:
    """Return what as many engines side by side take for a run's own windows.

    ``seconds`` by the clock, ``cpu`` seconds of all together, user's and system's.

    Each has the windows of its stretch of blocks, in their places in the volume, and
    nothing else to do. One before them compiles and touches memory.
    """
    task = {
        "shape": shape,
        "block": decisions["block"],
        "window": decisions["window"],
        "threads": decisions["threads"],
        "backend": decisions["backend"],
        "precision": decisions["precision"],
        "workers": workers,
    }
    words = [sys.executable, "-m", "benchmarks.run.run_engines", weights]
    running = [
        subprocess.Popen(
            [*words, json.dumps(task | {"worker": worker})],
            stdout=subprocess.PIPE,
            text=True,
        )
        for worker in range(workers)
    ]
    each = [json.loads(process.communicate()[0]) for process in running]
    return {
        "seconds": max(one["seconds"] for one in each),
        "cpu": [sum(one["cpu"][i] for one in each) for i in (0, 1)],
    }


def engine(task: dict[str, Any], weights: str) -> dict[str, Any]:
    """Return what one engine takes for one worker's windows; see :func:`engines`."""
    from blockseg.core.geometry import Roi
    from blockseg.core.grid import BlockGrid
    from blockseg.core.specs import BackendSpec
    from blockseg.inference.backends.protocol import SlabBackend
    from blockseg.inference.backends.table import make_backend
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.window_layout import windows

    core = tuple(task["window"])
    backend = make_backend(
        BackendSpec(task["backend"], weights, core, task["precision"], task["threads"])
    )
    field = backend.field
    shape = tuple(task["shape"])
    voxels = np.broadcast_to(np.uint16(0), shape)
    whole = Roi.whole(shape)
    grid = BlockGrid(
        shape, tuple(task["block"]), (field.reach,) * 3, None, field.alignment
    )
    count = len(grid)
    first, last = (count * (task["worker"] + i) // task["workers"] for i in (0, 1))
    mine = [
        window
        for number in range(first, last)
        for window in windows(
            BlockInput(voxels, whole, grid.numbered(number).write_roi, shape),
            field,
            core,
        )
    ]
    tile = np.random.default_rng(0).standard_normal(
        [n + 2 * field.reach for n in core], np.float32
    )
    tile *= np.float32(0.03)

    def infer(inside: Any) -> None:
        if not isinstance(backend, SlabBackend):
            backend.infer(tile, inside)
            return
        for slab in backend.slabs(inside):
            slab.tile[...] = tile[slab.start : slab.start + len(slab.tile)]
            slab.compute()

    infer(mine[0].inside)
    start, before = time.perf_counter(), os.times()
    for window in mine:
        infer(window.inside)
    seconds, after = time.perf_counter() - start, os.times()
    return {
        "seconds": seconds,
        "cpu": [after.user - before.user, after.system - before.system],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(engine(json.loads(sys.argv[2]), sys.argv[1])))
