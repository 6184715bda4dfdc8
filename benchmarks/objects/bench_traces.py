"""Traces of a whole brain: ``blockseg skeletonize`` beside the inference before it.

    python -m benchmarks.objects.bench_traces [--folder DIR] [--json FILE] [--quick]

512×1024×1024 voxels of filaments, a twentieth of them foreground (``label_brains.py``), and
a quarter of it. Each row is a command of its own, start included, with two workers; the
float32 inference that traces are measured against is that of ``blockseg run`` on a part of
the same image, by voxels. Where others use the machine, CPU time counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.infer.infer_machine import machine
from benchmarks.objects.bench_label import WORKERS, Row, command, inference
from benchmarks.objects.label_brains import finished_run

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx


def traced(out: Path, shape: Zyx) -> Row:
    """Label a run, if that was not done, and trace it anew."""
    blockseg = [sys.executable, "-m", "blockseg_cli"]
    workers = ("--workers", str(WORKERS))
    label = [*blockseg, "label", str(out), "--no-image", "-q", *workers]
    subprocess.run(label, check=True)
    for part in ("skeletonize", "skeletonize-traces"):
        shutil.rmtree(out / ".blockseg" / part, ignore_errors=True)
    shutil.rmtree(out / "traces", ignore_errors=True)
    words = [*blockseg, "skeletonize", str(out), "-q", *workers]
    row = command(words, shape[0] * shape[1] * shape[2])
    assert row is not None
    said = json.loads((out / "traces/traces.json").read_text())
    print(out.name, row, said["objects"], said["length_um"], flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-objects"))
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--quick", action="store_true", help="tiny, to see that it runs"
    )
    parser.add_argument(
        "--threads", type=int, help="ignored; for the test of benchmarks"
    )
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    whole: Zyx = (128, 128, 192) if given.quick else (512, 1024, 1024)
    quarter: Zyx = (64, 128, 128) if given.quick else (256, 512, 1024)
    part: Zyx = (64, 64, 128) if given.quick else (128, 512, 512)
    block = 64 if given.quick else 128
    rows: dict[str, Row] = {}
    shares: dict[str, dict[str, float]] = {}
    rate = inference(given.folder, part)
    print("inference", rate, flush=True)
    for shape in (quarter, whole):
        out = finished_run(given.folder, shape, block=block)
        row = traced(out, shape)
        voxels = rate.voxels / row.voxels
        name = "x".join(map(str, shape))
        rows[name] = row
        shares[name] = {
            "of_its_seconds": voxels * row.seconds / rate.seconds,
            "of_its_cpu_seconds": voxels * row.cpu_seconds / rate.cpu_seconds,
        }
        found = {
            "machine": machine(),
            "workers": WORKERS,
            "rows": {key: asdict(one) for key, one in rows.items()},
            "inference": asdict(rate),
            "share_of_inference": shares,
        }
        print(name, shares[name], flush=True)
        if given.json:
            given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
