"""What it costs that nobody else can use a cluster of our own, beside a plain one.

    python -m benchmarks.run.bench_transport [--rounds 7] [--blocks 20000] [--runs 5]

Ways, in turn in each round: plain TCP (``--insecure``), TLS with the key that blockseg makes
for a run, TLS by Dask's ``Security.temporary()``, and scheduler and workers as threads of one
process, which share no port with anybody and no memory limit either. Of each: seconds until
two workers are there; milliseconds of a call to a worker and back; milliseconds a block of
``--blocks`` empty ones through blockseg's executor; MB/s of arrays to a worker and back.
Then whole runs of ``blockseg run`` on a synthetic brain, ``--insecure`` and not, in turn.
Prints medians and ratios to plain TCP as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client, LocalCluster, Security

from benchmarks.infer.infer_machine import machine
from benchmarks.run.bench_overhead import Build
from blockseg.core.blocks import BlockQueue
from blockseg.runtime.dask.cluster import Cluster, local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.dask.security import Access
from blockseg.runtime.driver import drive
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYOUT = Layout(2, 2, 1, 2 * 2**30)
CALLS = 400
ARRAY = 32 * 2**20
SHAPE = "128,192,256"


class DasksOwn(Access):
    """Access by the certificate that Dask makes."""

    def security(self) -> Security:
        made: Security = Security.temporary()  # type: ignore[no-untyped-call]
        return made


@contextmanager
def threads() -> Iterator[Cluster]:
    """Scheduler and workers in this process."""
    with ExitStack() as stack:
        ours: Any = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=2,
            threads_per_worker=2,
            processes=False,
            dashboard_address=None,
        )
        stack.callback(ours.close)
        client = Client(ours, set_as_default=False)  # type: ignore[no-untyped-call]
        yield Cluster(client, stack.pop_all(), ours)


WAYS: dict[str, Callable[[], Any]] = {
    "plain TCP": lambda: local_cluster(LAYOUT, access=Access(insecure=True)),
    "TLS, own key": lambda: local_cluster(LAYOUT, access=Access()),
    "TLS, Dask's key": lambda: local_cluster(LAYOUT, access=DasksOwn()),
    "threads": threads,
}


def call(client: Client) -> float:
    """Milliseconds of a call to a worker and back."""
    worker = next(iter(client.nthreads()))  # type: ignore[no-untyped-call]
    began = time.perf_counter()
    for number in range(CALLS):
        future = client.submit(int, number, workers=[worker], pure=False)
        future.result()
    return (time.perf_counter() - began) / CALLS * 1e3


def arrays(client: Client) -> float:
    """MB/s of arrays to a worker and back."""
    sent = np.random.default_rng(1).integers(0, 255, ARRAY, np.uint8)
    began = time.perf_counter()
    for _ in range(4):
        future = client.scatter(sent)  # type: ignore[no-untyped-call]
        client.submit(np.copy, future, pure=False).result()
    return 8 * ARRAY / 1e6 / (time.perf_counter() - began)


def blocks(cluster: Cluster, count: int, folder: Path) -> float:
    """Milliseconds of an empty block."""
    with Ledger.create(folder / f"{time.monotonic_ns()}.sqlite", "transport") as ledger:
        executor = DaskExecutor(cluster, "transport")
        name = "z{:07d}".format
        began = time.perf_counter()
        drive(
            executor, BlockQueue(range(count)), ledger, "segment", Build(300),
            lambda _: None, name=name,
        )  # fmt: skip
        return (time.perf_counter() - began) / count * 1e3


def measured(way: str, count: int, folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    with WAYS[way]() as cluster:
        cluster.client.wait_for_workers(2)
        start = time.perf_counter() - began
        return {
            "start_s": start,
            "call_ms": call(cluster.client),
            "block_ms": blocks(cluster, count, folder),
            "array_mb_s": arrays(cluster.client),
        }


def whole_runs(rounds: int, folder: Path) -> dict[str, list[float]]:
    words = [sys.executable, "-m", "blockseg_cli"]
    brain = str(folder / "brain.zarr")
    make = [*words, "synth", brain, "--shape", SHAPE, "-q", "--scheduler", "serial"]
    subprocess.run(make, check=True)
    found: dict[str, list[float]] = {"--insecure": [], "TLS": []}
    for number in range(rounds + 1):
        for way, seconds in found.items():
            out = str(folder / f"{way.strip('-')}-{number}.zarr")
            more = [way] if way == "--insecure" else []
            run = [*words, "run", brain, out, "-q", "--workers", "2", *more]
            began = time.perf_counter()
            subprocess.run(
                run, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
            )
            if number:  # the first one of each compiles
                seconds.append(time.perf_counter() - began)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    said = machine()
    with tempfile.TemporaryDirectory() as folder:
        measured("plain TCP", 100, Path(folder))  # what is imported once
        for _ in range(given.rounds):
            for way, found in seen.items():
                found.append(measured(way, given.blocks, Path(folder)))
                print(way, found[-1], file=sys.stderr)
        runs = whole_runs(given.runs, Path(folder))
    medians = {
        way: {
            name: round(statistics.median(one[name] for one in found), 4)
            for name in found[0]
        }
        for way, found in seen.items()
    }
    pairs = zip(runs["TLS"], runs["--insecure"], strict=True)
    result = {
        "machine": said,
        "rounds": given.rounds,
        "blocks": given.blocks,
        "medians": medians,
        "runs_s": runs,
        "run_ratio": statistics.median(tls / plain for tls, plain in pairs),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
