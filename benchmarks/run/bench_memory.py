"""Peak memory of each worker, beside what ``plan`` foresaw.

    python -m benchmarks.run.bench_memory            # windows of 32³ to 256³, half an hour
    python -m benchmarks.run.bench_memory --only "torch 128" "torch 192"
    python -m benchmarks.run.bench_memory --quick    # toy size, to see it work

Runs brains of noise and follows the driver's children: a worker's peak is the kernel's own
high-water mark (VmHWM), not a sample. ``over`` is the largest peak over the foreseen one: to
hold, it lies between 0.85 and 1.15. Writes benchmarks/run/results/memory.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr

from blockseg.blockwise.record.record import machine_facts

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Case:
    name: str
    shape: tuple[int, int, int]
    options: tuple[str, ...]
    chunk: int = 64


def window_case(backend: str, edge: int, threads: int = 1) -> Case:
    """One worker, blocks of one window, nothing else that takes memory."""
    window = ("--block", str(edge), "--window", str(edge), "--workers", "1")
    engine = ("--threads", str(threads), "--backend", backend)
    shape, chunk = (edge, edge, 2 * edge), min(64, edge)
    return Case(f"{backend} {edge}", shape, (*window, *engine), chunk)


def every_edge(edge: int) -> Case:
    """27 windows, one for each way in which a volume can end beside one."""
    window = ("--block", str(edge), "--window", str(edge))
    alone = ("--workers", "1", "--threads", "1", "--backend", "openvino")
    return Case(f"openvino {edge}, every edge", (3 * edge,) * 3, (*window, *alone))


CASES = (
    *(window_case("openvino", edge) for edge in (32, 64, 96, 128, 192, 256)),
    window_case("openvino", 96, threads=2),
    every_edge(64),
    every_edge(128),
    *(window_case("torch", edge) for edge in (32, 64, 96, 128, 192)),
    window_case("torch", 96, threads=2),
    Case("small blocks", (256, 256, 512), ("--block", "128", "--workers", "2")),
    Case(
        "engine of no size",
        (256, 512, 512),
        ("--block", "128", "--workers", "2", "--backend", "fake"),
    ),
)
QUICK = (
    Case(
        "toy",
        (64, 128, 128),
        ("--block", "64", "--workers", "2", "--backend", "fake", "--window", "64"),
        32,
    ),
)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "blockseg_cli", *map(str, words)]


def brain(path: Path, case: Case) -> None:
    random = np.random.default_rng(0)
    data = random.poisson(20, case.shape).astype(np.uint16) + 90
    data[:, ::40, ::40] += 300
    chunks = (case.chunk,) * 3
    array = zarr.create_array(path, shape=case.shape, dtype="u2", chunks=chunks)
    array[:] = data


def high_water(process: psutil.Process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def peaks(run: subprocess.Popen[bytes]) -> tuple[dict[int, int], int]:
    """Follow a run to its end; return the peak of each worker, and of the driver."""
    driver = psutil.Process(run.pid)
    workers: dict[int, int] = {}
    main = 0
    while run.poll() is None:
        try:
            main = max(main, high_water(driver))
            for child in driver.children(recursive=True):
                if child.ppid() != run.pid:  # forked by a template
                    workers[child.pid] = max(
                        workers.get(child.pid, 0), high_water(child)
                    )
        except (psutil.Error, OSError):
            pass
        time.sleep(0.05)
    return workers, main


def measured(folder: Path, case: Case) -> dict[str, object]:
    folder.mkdir()
    source = folder / "brain.zarr"
    brain(source, case)
    size = ("--voxel-size", "1,1,1")
    foreseen = subprocess.run(
        command("plan", source, folder / "out.zarr", *case.options, *size, "--json"),
        check=True,
        capture_output=True,
    )
    plan = json.loads(foreseen.stdout)
    out = folder / f"{source.stem}-out.zarr"
    run = subprocess.Popen(
        command("run", source, out, *case.options, *size, "-q"),
        stdout=subprocess.DEVNULL,
    )
    workers, driver = peaks(run)
    assert run.returncode == 0
    most = max(workers.values())
    return {
        **asdict(case),
        "workers": plan["workers"],
        "window": plan["window"],
        "foreseen_MB": round(plan["worker_bytes"] / 1e6, 1),
        "cache_MB": round(plan["cache_bytes"] / 1e6, 1),
        "peaks_MB": [round(peak / 1e6, 1) for peak in workers.values()],
        "driver_MB": round(driver / 1e6, 1),
        "over": round(most / plan["worker_bytes"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a volume of toy size")
    parser.add_argument("--only", nargs="+", help="these cases; the others stay")
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    cases = QUICK if given.quick else CASES
    if given.only:
        rows = json.loads(given.out.read_text())["rows"]
        cases = tuple(case for case in cases if case.name in given.only)
    with tempfile.TemporaryDirectory() as temporary:
        for number, case in enumerate(cases):
            row = measured(Path(temporary) / str(number), case)
            # Two cases may differ in their options only.
            known = [(old["name"], list(old["options"])) for old in rows]
            if (case.name, list(case.options)) in known:
                rows[known.index((case.name, list(case.options)))] = row
            else:
                rows.append(row)
            result = {"machine": machine_facts(), "rows": rows}
            given.out.parent.mkdir(exist_ok=True)
            given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            print(
                f"{case.name:20} foreseen {row['foreseen_MB']} MB, peaks "
                f"{row['peaks_MB']} MB, driver {row['driver_MB']} MB: {row['over']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
