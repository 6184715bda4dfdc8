"""Windows inside a volume and at its edge: seconds and memory of one engine on one thread.

    python -m benchmarks.infer.bench_edges [--core 256] [--label NAME]

For each kind of window, in turn, the first one (the graph is compiled, its memory touched
for the first time) and a second one. Results go to ``results/edges.json`` under the
label, so that versions can be compared: run it with PYTHONPATH set to another checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.infer.infer_machine import machine
from blockseg.core.specs import BackendSpec
from blockseg.inference.backends.table import default_backend, make_backend
from blockseg.networks.shipped import default_weights

RESULTS = Path(__file__).parent / "results"

BEYOND = {
    "inside": ((0, 0),) * 3,
    "four walls": ((32, 32), (32, 0), (0, 32)),
    "six walls": ((32, 32),) * 3,
}
"""Voxels beyond the volume at the start and the end of z, y, x: the reach, or none."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--core", type=int, default=256)
    parser.add_argument("--label", default="now")
    parser.add_argument("--json", type=Path, default=RESULTS / "edges.json")
    given = parser.parse_args()
    core = (given.core,) * 3
    begun = time.perf_counter()
    spec = BackendSpec(default_backend(), str(default_weights()), core, threads=1)
    backend = make_backend(spec)
    rows: list[dict[str, Any]] = [
        {"kind": "the engine itself", "seconds": time.perf_counter() - begun}
    ]
    edge = given.core + 2 * backend.field.reach
    tile = np.random.default_rng(0).standard_normal((edge,) * 3, np.float32) * 0.03
    for kind in (*BEYOND, "inside"):
        inside = None
        if kind != "inside":
            vectors = [np.zeros(edge, np.float32) for _ in range(3)]
            for vector, (before, after) in zip(vectors, BEYOND[kind], strict=True):
                vector[before : edge - after] = 1
            inside = (vectors[0], vectors[1], vectors[2])
        for turn in ("first", "second"):
            start, system = time.perf_counter(), os.times().system
            backend.infer(tile, inside)
            row = {
                "kind": f"{kind}, {turn}",
                "seconds": time.perf_counter() - start,
                "system_seconds": os.times().system - system,
            }
            rows.append(row)
            print(f"{row['kind']:24}{row['seconds']:8.2f} s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak of the process {peak / 1e9:.2f} GB")
    found = json.loads(given.json.read_text()) if given.json.exists() else {}
    found["machine"] = machine()
    found[f"{given.label}, {given.core}"] = {"rows": rows, "peak_bytes": peak}
    given.json.parent.mkdir(exist_ok=True)
    given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
