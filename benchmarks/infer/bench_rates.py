"""The table by which ``plan --no-trial`` estimates hours.

    python -m benchmarks.infer.bench_rates [--window 64] [--rounds 3] [-o FILE]

Multiply-adds a second of each kind of CPU are those of whole runs that were measured before
(``benchmarks/run/results/builds*.json``, the brain of 256×512×512), reading, metrics and
writing included; starting is what is left of these runs' seconds. How fast the other
backends are beside LLVM, and how long each takes to build and to infer for the first time,
is measured here, by CPU time on one thread: other work on the machine disturbs it little.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.infer.infer_machine import machine
from blockseg.core.specs import BackendSpec
from blockseg.inference.backends.table import available_backends, make_backend
from blockseg.networks.cost import multiply_adds
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights_info import load_info

RUNS = Path(__file__).parents[1] / "run" / "results"
BRAIN, VOXELS = "dense 256x512x512", 256 * 512 * 512
KINDS = {
    "builds-zen4": ("AMD EPYC (Zen 4)", "", "avx512"),
    "builds-zen4-bfloat16": ("AMD EPYC (Zen 4)", "", "avx512"),
    "builds": ("Intel Xeon with AMX", "GenuineIntel", "amx"),
    "builds-zen5": ("AMD EPYC (Zen 5)", "AuthenticAMD", "avx512"),
}
"""Results: their CPU, its maker if it works through 512 bits at once, and its instructions
for bfloat16."""


def of_runs() -> list[dict[str, Any]]:
    """Return what whole runs tell, a row for each kind of CPU and precision."""
    rows: list[dict[str, Any]] = []
    for name, (processor, maker, unit) in KINDS.items():
        found = json.loads((RUNS / f"{name}.json").read_text())[BRAIN]
        for precision in ("float32", "bfloat16"):
            known = [(row["processor"], row["precision"]) for row in rows]
            if precision not in found or (processor, precision) in known:
                continue
            window = tuple(found[precision]["run"]["window"])
            work = multiply_adds("sdasn", 8, window) / math.prod(window) * VOXELS
            seconds = found[precision]["run"]["session_seconds"]
            cores = found["machine"]["cores"]
            rows.append(
                {
                    "processor": processor,
                    "maker_of_wide_vectors": maker,
                    "precision": precision,
                    "instructions": unit if precision == "bfloat16" else "",
                    "multiply_adds_a_core": round(work / seconds / cores),
                    "start_seconds": round(found[precision]["median"] - seconds, 1),
                }
            )
    return rows


def measured(backend: str, window: int, rounds: int) -> dict[str, float]:
    """Return CPU seconds of a backend: to build with the first window, and of a window."""
    weights = str(default_weights())
    reach = load_info(default_weights()).field.reach
    spec = BackendSpec(backend, weights, (window,) * 3, "float32", threads=1)
    shape = (window + 2 * reach,) * 3
    tile = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 0.03
    began = time.process_time()
    with closing(make_backend(spec)) as engine:
        engine.infer(tile, None)
        first = time.process_time() - began
        times = []
        for _ in range(rounds):
            began = time.process_time()
            engine.infer(tile, None)
            times.append(time.process_time() - began)
    return {"first": first, "window": min(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    names = [
        name for name in ("llvm", "openvino", "torch") if name in available_backends()
    ]
    found = {name: measured(name, given.window, given.rounds) for name in names}
    beside = found["llvm"]["window"]
    table = {
        "runs": of_runs(),
        "backends": {
            name: {
                "speed_beside_llvm": round(beside / one["window"], 3),
                "build_seconds": round(one["first"] - one["window"], 1),
            }
            for name, one in found.items()
        },
        "backends_measured_on": machine(),
    }
    text = json.dumps(table, indent=1) + "\n"
    if given.out is None:
        print(text)
    else:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
