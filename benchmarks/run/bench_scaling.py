"""Time and memory against the volume, the workers, and a million blocks.

    python -m benchmarks.run.bench_scaling                        # every row, one after the other
    python -m benchmarks.run.bench_scaling --rows volume workers  # some
    python -m benchmarks.run.bench_scaling --quick                # toy size, to see it work

``volume``: 1, 2, 4 and 8 times a brain on two workers; seconds a voxel should stay the same,
memory too. ``workers``: one brain on 1 and 2 workers of one thread. ``million``: 10,000,
100,000 and 1,000,000 blocks of 64³ voxels of a virtual source with nothing in it and an
engine that computes nothing, so that what is measured is ours and Dask's; to hold, a million
take 30 minutes on two cores and the driver's memory does not grow. Rows that are in
benchmarks/run/results/scaling.json are kept: a run that was stopped goes on (``--again`` starts
anew).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from blockseg.blockwise.record.record import machine_facts

RESULTS = Path(__file__).parent / "results"
SIZE = ("--voxel-size", "1,1,1")


@dataclass(frozen=True)
class Row:
    kind: str
    shape: tuple[int, int, int]
    options: tuple[str, ...]
    virtual: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {','.join(map(str, self.shape))} {' '.join(self.options)}"


def rows(quick: bool) -> list[Row]:
    edge = 64 if quick else 256
    real: tuple[str, ...] = ("--block", str(edge // 2), "--no-metrics")
    real += ("--backend", "fake") if quick else ()
    two = ("--workers", "2", "--threads", "1")
    z, y, x = edge, edge, edge
    shapes = [(z, y, x), (z, y, 2 * x), (z, 2 * y, 2 * x), (2 * z, 2 * y, 2 * x)]
    made = [
        Row("volume", shape, (*real, *two)) for shape in shapes[: 2 if quick else 4]
    ]
    for workers in ("1", "2"):
        alone = ("--workers", workers, "--threads", "1")
        made.append(Row("workers", shapes[1], (*real, *alone)))
    empty = (
        "--block",
        "64",
        "--window",
        "64",
        "--backend",
        "fake",
        "--no-metrics",
        *two,
    )
    grids = [(4, 5, 10)] if quick else [(20, 20, 25), (40, 50, 50), (100, 100, 100)]
    for a, b, c in grids:
        made.append(Row("million", (64 * a, 64 * b, 64 * c), empty, virtual=True))
    return made


class Memory:
    """Follows the largest resident size of a process and of its children."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop = threading.Event()
        self.driver: list[int] = []
        self.worker = 0
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(0.5):
            try:
                self.driver.append(self._process.memory_info().rss)
                for child in self._process.children(recursive=True):
                    self.worker = max(self.worker, child.memory_info().rss)
            except psutil.Error:
                pass


def synthesise(folder: Path, row: Row) -> str:
    shape = ",".join(map(str, row.shape))
    if row.virtual:
        return f"constant://{shape}/uint16/0"
    brain = folder / f"{shape.replace(',', '-')}.zarr"
    if not brain.exists():
        words = ("synth", brain, "--shape", shape, "--preset", "fmost", "-q")
        subprocess.run(command(*words), check=True)
    return str(brain)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "blockseg_cli", *map(str, words)]


def measured(folder: Path, row: Row) -> dict[str, Any]:
    source, out = synthesise(folder, row), folder / f"out-{time.monotonic_ns()}.zarr"
    began = time.monotonic()
    run = subprocess.Popen(
        command("run", source, out, *row.options, *SIZE, "-q"),
        stdout=subprocess.DEVNULL,
    )
    memory = Memory(psutil.Process(run.pid))
    code = run.wait()
    memory.end()
    assert code == 0
    whole = time.monotonic() - began
    session = json.loads((out / ".blockseg" / "run.json").read_text())["sessions"][-1]
    totals, blocks = session["totals"], session["blocks_done"]
    half = memory.driver[len(memory.driver) // 2 :]
    return {
        "row": row.name,
        "blocks": blocks,
        "seconds": session["seconds"],
        "seconds_with_start": round(whole, 2),
        "written_voxels_per_second": round(totals["written"] / session["seconds"]),
        "milliseconds_a_block": round(1e3 * session["seconds"] / blocks, 3),
        "driver_peak_MB": round(max(memory.driver, default=0) / 1e6, 1),
        "driver_growth_in_second_half_MB": round(
            (max(half) - half[0]) / 1e6 if half else 0.0, 1
        ),
        "worker_peak_MB": round(memory.worker / 1e6, 1),
        "worker_seconds": {k: round(v, 2) for k, v in totals["seconds"].items()},
        "decoded_over_asked": round(
            totals["decoded_bytes"] / max(totals["read_bytes"], 1), 3
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    kinds = ["volume", "workers", "million"]
    parser.add_argument("--rows", nargs="*", choices=kinds, default=kinds)
    parser.add_argument("--quick", action="store_true", help="toy size")
    parser.add_argument("--again", action="store_true", help="forget earlier rows")
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    given = parser.parse_args()
    given.out.parent.mkdir(exist_ok=True)
    result: dict[str, Any] = {"machine": machine_facts(), "rows": []}
    if given.out.exists() and not given.again:
        result = json.loads(given.out.read_text())
    done = {row["row"] for row in result["rows"]}
    with tempfile.TemporaryDirectory() as temporary:
        for row in rows(given.quick):
            if row.kind not in given.rows or row.name in done:
                continue
            found = measured(Path(temporary), row)
            result["rows"].append(found)
            given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            print(
                f"{found['row']}\n  {found['blocks']} blocks in {found['seconds']} s, "
                f"{found['milliseconds_a_block']} ms a block, driver "
                f"{found['driver_peak_MB']} MB, worker {found['worker_peak_MB']} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
