"""Compare kernels of 8 channels a register (AVX2) with those of 16 (AVX-512) on OpenVINO.

    python -m benchmarks.infer.bench_vectors [--core 96] [--rounds 3] [--json FILE]

A process for each network and kind of kernel, in turns, on one thread; the best window of
all rounds counts, in CPU seconds. Says what ``blockseg`` takes by itself on this CPU. Writes
benchmarks/infer/results/vectors.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.infer.infer_machine import machine

RESULTS = Path(__file__).parent / "results"
NETWORKS = (("sdasn", 8), ("sdasn", 16), ("voxresnet", 8), ("unet3d", 32))
KINDS = {"as shipped": None, "AVX2": "AVX2", "AVX-512": "ALL"}
_WINDOWS = 4


def timed(network: str, width: int, core: int) -> float:
    """Return the CPU seconds of the best of some windows."""
    import torch

    from blockseg.core.specs import BackendSpec
    from blockseg.inference.backends.openvino.backend import OpenVinoBackend
    from blockseg.networks.registry import build

    torch.manual_seed(0)
    spec = BackendSpec("openvino", "", (core,) * 3, threads=1)
    backend = OpenVinoBackend(spec, build(network, width).eval())
    tile = np.zeros((core + 2 * backend.field.reach,) * 3, np.float32)
    backend.infer(tile, None)  # compiles
    found = []
    for _ in range(_WINDOWS):
        start = time.process_time()
        backend.infer(tile, None)
        found.append(time.process_time() - start)
    return min(found)


def apart(network: str, width: int, core: int, kind: str | None) -> float:
    """Return the same, from a process that has been told which kernels to take."""
    told = {} if kind is None else {"ONEDNN_MAX_CPU_ISA": kind}
    words = [
        sys.executable,
        "-m",
        "benchmarks.infer.bench_vectors",
        "--one",
        network,
        str(width),
        str(core),
    ]
    said = subprocess.run(
        words, env={**os.environ, **told}, check=True, capture_output=True, text=True
    )
    return float(said.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=RESULTS / "vectors.json")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        network, width, core = given.one
        sys.stdout.write(f"{timed(network, int(width), int(core))}\n")
        return
    rows: dict[str, dict[str, float]] = {}
    for _ in range(given.rounds):
        for network, width in NETWORKS:
            row = rows.setdefault(f"{network} of width {width}", {})
            for title, kind in KINDS.items():
                # A wide U-Net would take half a minute a window.
                core = min(given.core, 32) if width > 16 else given.core
                found = apart(network, width, core, kind)
                row[title] = min(found, row.get(title, found))
    for name, row in rows.items():
        cells = "  ".join(f"{title} {seconds:.3f} s" for title, seconds in row.items())
        sys.stdout.write(f"{name:24}{cells}\n")
    kept = {"machine": machine(), "core": given.core, "cpu_seconds": rows}
    given.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
