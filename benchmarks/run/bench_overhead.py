"""What a block costs the driver and the scheduler, and what a run leaves in memory.

    python -m benchmarks.run.bench_overhead [--blocks 100000] [--scheduler local|process]
                                        [--batch N] [--payload BYTES]

The actor does nothing, so all that is measured is ours and Dask's. ``local`` has the
scheduler in the driver's process, as a run without options does; ``process`` starts
``dask scheduler`` with two workers, as a cluster does. ``--batch 1`` puts every block
into a task of its own, as blocks that take half a second or more are.

CPU time is that of all threads of the driver and the scheduler, the dashboard's
included. Memory is the resident size; growth counts from the moment the workers are
connected. The bounds: under 2 ms and 150 MB for 100,000 blocks. Dask remembers the
names of the last 100,000 tasks (some 50 MB with ``--batch 1``), and no more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from blockseg.core.blocks import BlockQueue, BlockReport, Meter
from blockseg.runtime.dask.cluster import Cluster, connect, local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.driver import drive
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Layout, machine
from blockseg.runtime.pace import Pace

MB = 2**20
LAYOUT = Layout(2, 2, 1, 2 * 2**30)


@dataclass
class Nothing:
    payload: int

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        with meter("infer"):
            pass
        return BlockReport(block_id, written=64**3, payload=bytes(self.payload))

    def close(self) -> None:
        pass


@dataclass
class Build:
    payload: int

    def __call__(self) -> Nothing:
        return Nothing(self.payload)


class Memory:
    """Follows the resident size of processes in a thread."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        self.processes = processes
        self.start = self.now()
        self.peak = dict(self.start)
        self._stop = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def now(self) -> dict[str, int]:
        return {name: p.memory_info().rss for name, p in self.processes.items()}

    def end(self) -> dict[str, int]:
        self._stop.set()
        return self.now()

    def _follow(self) -> None:
        while not self._stop.wait(0.2):
            for name, size in self.now().items():
                self.peak[name] = max(self.peak[name], size)


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def separate_cluster(stack: ExitStack, folder: Path) -> tuple[Cluster, psutil.Process]:
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    with (folder / "dask.log").open("w") as log:
        listen = ["--host", "127.0.0.1", "--port", "0"]
        listen += ["--dashboard-address", "127.0.0.1:0"]
        where = ["--scheduler-file", str(file)]
        scheduler = subprocess.Popen(
            [*dask, "scheduler", *listen, *where], stderr=log, stdout=log
        )
        stack.callback(scheduler.wait)
        stack.callback(scheduler.terminate)
        while not file.exists():
            time.sleep(0.1)
        threads = ["--nthreads", str(LAYOUT.threads_per_worker), "--no-dashboard"]
        for _ in range(LAYOUT.workers):
            worker = subprocess.Popen(
                [*dask, "worker", *where, *threads], stderr=log, stdout=log
            )
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
    cluster = connect(json.loads(file.read_text())["address"])
    stack.enter_context(cluster)
    cluster.client.wait_for_workers(LAYOUT.workers)
    return cluster, psutil.Process(scheduler.pid)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--blocks", type=int, default=100_000)
    parser.add_argument("--scheduler", choices=["local", "process"], default="local")
    parser.add_argument("--batch", type=int, default=Pace().largest)
    parser.add_argument("--payload", type=int, default=300)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = {"driver": psutil.Process()}
        if options.scheduler == "local":
            cluster = stack.enter_context(local_cluster(LAYOUT))
        else:
            cluster, scheduler = separate_cluster(stack, folder)
            processes["scheduler"] = scheduler
        ledger = stack.enter_context(Ledger.create(folder / "ledger.sqlite", "bench"))
        executor = DaskExecutor(cluster, "bench", pace=Pace(largest=options.batch))
        memory = Memory(processes)
        cpu = {name: cpu_seconds(p) for name, p in processes.items()}
        start = time.perf_counter()
        outcome = drive(
            executor,
            BlockQueue(range(options.blocks)),
            ledger,
            "segment",
            Build(options.payload),
            lambda _: None,
            name="z{:07d}".format,
        )
        wall = time.perf_counter() - start
        cpu = {name: cpu_seconds(p) - cpu[name] for name, p in processes.items()}
        end = memory.end()
        total = sum(cpu.values())
        print(f"{machine().cores} cores, {options.scheduler} scheduler")
        print(f"blocks       {outcome.done} done, {options.batch} a task at most")
        print(
            f"wall         {wall:.1f} s, {wall / options.blocks * 1e3:.3f} ms a block"
        )
        each = ", ".join(f"{name} {seconds:.1f}" for name, seconds in cpu.items())
        print(f"CPU seconds  {each}: {total / options.blocks * 1e3:.3f} ms a block")
        for name, first in memory.start.items():
            last, peak = end[name], max(memory.peak[name], end[name])
            print(
                f"{name:12} {first / MB:.0f} MB at the start, {last / MB:.0f} at the "
                f"end, peak +{(peak - first) / MB:.0f} MB"
            )
        growth = max(memory.peak[name] - memory.start[name] for name in processes)
    held = total / options.blocks < 2e-3 and growth < 150 * MB
    print("within the bounds" if held else "OUT OF BOUNDS")
    return 0 if held and outcome.done == options.blocks else 1


if __name__ == "__main__":
    sys.exit(main())
