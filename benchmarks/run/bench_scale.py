"""A simulated brain of 20 TB: a million blocks, through every command that counts them.

    python -m benchmarks.run.bench_scale                    # every row
    python -m benchmarks.run.bench_scale --rows plan resume # some
    python -m benchmarks.run.bench_scale --quick            # toy size, to see it work
    python -m benchmarks.run.bench_scale --keep FOLDER      # keeps the million for another time

The source makes its voxels when they are read and stores none; so many blocks of 64³ stand
for the million of 216³ that 20 TB of uint16 are. ``plan``: time and memory of ``blockseg
plan``. ``noise``: the same where every voxel is noise: its sample takes memory, and there is
a background field to estimate. ``million``: a run of a million blocks with an engine that computes nothing: what is
measured is ours and Dask's. ``status``: of that run. ``resume``: a tenth of its blocks made
pending again; time until the first is done. ``merge``: its ledger cut into eight, and put
together again as ``blockseg finalize`` does. ``label``: objects of that run. ``rate``: eight
workers whose engine sleeps as long as an H100 takes for 216³ voxels (0.1 s, at 100 million
voxels a second), for a minute: what of it the driver's process takes, and how busy the
workers are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from blockseg.blockwise.record.record import machine_facts
from blockseg.io.protocol import ConstantVolume
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi

RESULTS = Path(__file__).parent / "results"
ROWS = ("plan", "noise", "million", "status", "resume", "merge", "label", "rate")
SECONDS_A_BLOCK = 0.1
GPUS = 8
PARTS = 8
COMMON = ("--block", "64", "--window", "64", "--backend", "fake", "--no-metrics")
SIZE = ("--voxel-size", "1,1,1")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "blockseg_cli", *map(str, words)]


@dataclass
class Watched:
    """A command, and the memory and CPU time that it takes."""

    words: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    peak: int = 0
    cpu: float = 0.0
    workers: float = 0.0
    sizes: list[int] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.words,
            stdout=subprocess.DEVNULL,
            env=os.environ | self.environment,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(process.pid,))
        self._thread.start()
        return process

    def run(self) -> float:
        began = time.monotonic()
        code = self.start().wait()
        self.end()
        assert code == 0, self.words
        return time.monotonic() - began

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self, pid: int) -> None:
        process = psutil.Process(pid)
        children: dict[int, float] = {}
        while not self._stop.wait(0.1):
            try:
                size, times = process.memory_info().rss, process.cpu_times()
                self.sizes.append(size)
                self.peak = max(self.peak, peak_of(pid))
                self.cpu = times.user + times.system
                for child in process.children(recursive=True):
                    spent = child.cpu_times()
                    children[child.pid] = spent.user + spent.system
            except (psutil.Error, OSError, ValueError):
                continue
            self.workers = sum(children.values())


def peak_of(pid: int) -> int:
    """Return the most memory that a process had, which looking now and then may miss."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines())
    return int(found.get("VmHWM", "0").split()[0]) * 1024


def of_noise() -> None:
    """Run the command line on noise that rises along x, in the place of constants."""
    from blockseg_cli.main import (  # type: ignore[import-not-found]
        main as command_line,
    )

    random = np.random.default_rng(0)

    def read(self: ConstantVolume, roi: Roi) -> NDArray[Any]:
        level = 500 + roi.start[2] / 100
        return np.asarray(random.normal(level, 10, roi.shape).astype(self.dtype))

    ConstantVolume.read = read  # type: ignore[method-assign]
    command_line()


def ledger_of(out: Path) -> Path:
    return out / ".blockseg" / "ledger.sqlite"


class Bench:
    def __init__(self, folder: Path, edge: int) -> None:
        self.folder, self.blocks = folder, edge**3
        self.source = f"constant://{64 * edge},{64 * edge},{64 * edge}/uint16/0"
        self.out = folder / f"million-{edge}.zarr"

    def plan(self) -> dict[str, Any]:
        watched = Watched(
            command("plan", self.source, self.folder / "none.zarr", *COMMON, *SIZE)
        )
        seconds = watched.run()
        return {"seconds": round(seconds, 2), "peak_MB": watched.peak // 10**6}

    def noise(self) -> dict[str, Any]:
        code = "from benchmarks.run.bench_scale import of_noise; of_noise()"
        words = command("plan", self.source, self.folder / "none.zarr", *COMMON, *SIZE)
        watched = Watched([sys.executable, "-c", code, *words[3:]])
        seconds = watched.run()
        return {"seconds": round(seconds, 2), "peak_MB": watched.peak // 10**6}

    def million(self) -> dict[str, Any]:
        two = ("--workers", "2", "--threads", "1", "-q")
        words = ("run", self.source, self.out, *COMMON, *SIZE, *two)
        watched = Watched(command(*words, "--overwrite"))
        seconds = watched.run()
        record = json.loads((self.out / ".blockseg" / "run.json").read_text())
        session = record["sessions"][-1]
        steady = watched.sizes[
            len(watched.sizes) // 4 : -len(watched.sizes) // 4 or None
        ]
        return {
            "blocks": session["blocks_done"],
            "seconds": session["seconds"],
            "seconds_with_start_and_report": round(seconds, 1),
            "driver_cpu_ms_a_block": round(1e3 * watched.cpu / self.blocks, 4),
            "workers_cpu_ms_a_block": round(1e3 * watched.workers / self.blocks, 4),
            "driver_while_it_runs_MB": max(steady) // 10**6,
            "driver_growth_in_the_middle_half_MB": (max(steady) - steady[0]) // 10**6,
            "driver_peak_with_planning_and_report_MB": watched.peak // 10**6,
        }

    def _done(self) -> None:
        if not self.out.exists():
            self.million()

    def status(self) -> dict[str, Any]:
        self._done()
        return {"seconds": round(Watched(command("status", self.out)).run(), 2)}

    def resume(self) -> dict[str, Any]:
        self._done()
        copy = self.folder / "resumed.zarr"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.out, copy)
        with closing(sqlite3.connect(ledger_of(copy))) as ledger, ledger:
            ledger.execute(
                "DELETE FROM blocks WHERE phase = 'segment' AND block_id % 10 = 3"
            )
            # Its owner is the output that it was copied from.
            owner = str(copy.resolve())
            ledger.execute("UPDATE meta SET value = ? WHERE key = 'owner'", (owner,))
        words = ("run", self.source, copy, *COMMON, *SIZE, "--workers", "2", "-q")
        watched = Watched(command(*words, "--threads", "1"))
        began = time.monotonic()
        process = watched.start()
        log = copy / ".blockseg" / "logs" / "0002.driver.jsonl"
        while process.poll() is None and (
            not log.exists() or '"event": "done"' not in log.read_text()[:100_000]
        ):
            time.sleep(0.05)
        seconds = time.monotonic() - began
        process.terminate()
        process.wait()
        watched.end()
        shutil.rmtree(copy)
        return {
            "seconds_until_a_block_is_done": round(seconds, 2),
            "peak_MB": watched.peak // 10**6,
        }

    def merge(self) -> dict[str, Any]:
        self._done()
        with Ledger.read(ledger_of(self.out)) as ledger:
            fingerprint = ledger.fingerprint
        parts = []
        for number in range(PARTS):
            part = self.folder / f"part-{number}.sqlite"
            part.unlink(missing_ok=True)
            shutil.copy(ledger_of(self.out), part)
            low = self.blocks * number // PARTS
            high = self.blocks * (number + 1) // PARTS
            with closing(sqlite3.connect(part)) as file, file:
                for table in ("blocks", "reads", "files", "payloads"):
                    file.execute(
                        f"DELETE FROM {table} WHERE phase != 'segment' OR "
                        f"block_id < {low} OR block_id >= {high}"
                    )
            parts.append(part)
        code = (
            "import sys; from pathlib import Path; "
            "from blockseg.runtime.ledger.merging import merge_ledgers; "
            f"merge_ledgers(Path({str(self.folder / 'merged.sqlite')!r}), "
            f"list(map(Path, {list(map(str, parts))!r})), "
            f"fingerprint={fingerprint!r}, owner='bench')"
        )
        watched = Watched([sys.executable, "-c", code])
        seconds = watched.run()
        for path in (*parts, self.folder / "merged.sqlite"):
            path.unlink()
        return {"seconds": round(seconds, 2), "peak_MB": watched.peak // 10**6}

    def label(self) -> dict[str, Any]:
        self._done()
        words = ("label", self.out, "--overwrite", "--workers", "2", "-q")
        watched = Watched(command(*words))
        return {"seconds": round(watched.run(), 1), "peak_MB": watched.peak // 10**6}

    def rate(self) -> dict[str, Any]:
        edge = 17 if self.blocks > 10_000 else 4  # a minute of eight GPUs
        source = f"constant://{64 * edge},{64 * edge},{64 * edge}/uint16/0"
        out = self.folder / "rate.zarr"
        shutil.rmtree(out, ignore_errors=True)
        many = ("--workers", GPUS, "--threads", "1", "--normalization", "0,1", "-q")
        trouble = json.dumps({"seconds": SECONDS_A_BLOCK})
        watched = Watched(
            command("run", source, out, *COMMON, *SIZE, *many, "--memory", "16GB"),
            {"BLOCKSEG_FAKE_TROUBLE": trouble},
        )
        watched.run()
        record = json.loads((out / ".blockseg" / "run.json").read_text())
        session = record["sessions"][-1]
        shutil.rmtree(out)
        rate = session["blocks_done"] / session["seconds"]
        return {
            "blocks": session["blocks_done"],
            "blocks_a_second": round(rate, 1),
            "of_what_sleeping_alone_allows": round(rate * SECONDS_A_BLOCK / GPUS, 3),
            "driver_cpu_seconds_with_start": round(watched.cpu, 1),
            "seconds": session["seconds"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=ROWS)
    parser.add_argument("--quick", action="store_true", help="toy size")
    parser.add_argument("--keep", type=Path, help="folder of the run of a million")
    parser.add_argument("--out", type=Path, default=RESULTS / "scale.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(given.keep or Path(temporary), 8 if given.quick else 100)
        rows: dict[str, Any] = {}
        if given.out.exists() and not given.quick:
            rows = json.loads(given.out.read_text())["rows"]
        for name in given.rows:
            rows[name] = getattr(bench, name)()
            print(name, rows[name], flush=True)
            result = {"machine": machine_facts(), "blocks": bench.blocks, "rows": rows}
            given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
