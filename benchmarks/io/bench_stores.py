"""Whole runs from a store to a store beside runs from a disk to a disk.

    python -m benchmarks.io.bench_stores                    # a dense brain, rounds in turn
    python -m benchmarks.io.bench_stores --shared           # the server on the run's cores
    python -m benchmarks.io.bench_stores --quick            # to see it work

Makes a dense synthetic brain, puts it into an S3 server on loopback, and runs the network over
it: from disk to disk, from S3 to S3, and from S3 to disk, in turn; medians of rounds count.
The server is moto's, in Python. It has one core and all commands the others, whether they read
a disk or the server, as a server is another machine; with ``--shared`` all have all cores, so
that what it takes is held against the store. Times are those of whole commands, start-up included. Of the runs on S3 all
requests are counted at the server: how many a block, and how many bytes of the source came for
each that the region needs, and CPU seconds of the server. Compares the bytes of all outputs.
Writes its part of benchmarks/io/results/stores.json.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.run.run_brains import brain
from blockseg.blockwise.record.record import machine_facts
from blockseg.core.geometry import to_zyx
from blockseg.io.stores.address import Address
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.connection import Connection

RESULTS = Path(__file__).parent / "results"
KEYS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_REGION": "us-east-1",
}
WAYS = ("disk to disk", "S3 to S3", "S3 to disk")
_COUNTS = "/counts-of-the-benchmark"


class Counting:
    """A WSGI application that counts what passes another one, by method and key."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"])
        if path == _COUNTS:
            found = {"requests": dict(self.requests), "sent": dict(self.sent)}
            self.requests.clear()
            self.sent.clear()
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(found).encode()]
        name = f"{environ['REQUEST_METHOD']} {path}"
        self.requests[name] += 1
        body = b"".join(self.app(environ, start))
        self.sent[name] += len(body)
        return [body]


def serve(ready: Connection) -> None:
    """Serve S3 until the process is ended."""
    import logging

    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Counting(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    ready.send(server.port)
    server.serve_forever()


def counted(endpoint: str) -> dict[str, dict[str, int]]:
    """Return what was asked since the last time."""
    with urllib.request.urlopen(endpoint + _COUNTS) as answer:
        found: dict[str, dict[str, int]] = json.load(answer)
    return found


def command(*words: str) -> float:
    """Run a command of blockseg; return its wall time."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "blockseg_cli", *words, "-q"], check=True)
    return time.perf_counter() - began


def files_in(place: Path | RemotePath) -> dict[str, bytes]:
    """Return the files of an output but its notes."""
    if isinstance(place, RemotePath):
        found = {name: (place / name).read_bytes() for name, _ in place.below()}
    else:
        found = {
            path.relative_to(place).as_posix(): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file()
        }
    return {
        name: content
        for name, content in found.items()
        if not name.startswith(".blockseg/")
    }


def summary(
    found: dict[str, dict[str, int]], needed: int, blocks: int
) -> dict[str, Any]:
    """Return requests a block and bytes read for each that is needed."""

    def of(method: str, part: str) -> int:
        return sum(
            n
            for name, n in found["requests"].items()
            if name.startswith(f"{method} ") and part in name
        )

    read = sum(
        n
        for name, n in found["sent"].items()
        if name.startswith("GET /brains/brain/0/c/")
    )
    every: Counter[str] = Counter()
    for name, n in found["requests"].items():
        every[name.split(" ")[0]] += n
    return {
        "blocks": blocks,
        "requests": dict(every),
        "reads of voxels a block": round(of("GET", "/brain/0/c/") / blocks, 2),
        "writes of voxels a block": round(of("PUT", "/c/") / blocks, 2),
        "requests a block": round(sum(every.values()) / blocks, 2),
        "bytes read": read,
        "bytes needed": needed,
        "read over needed": round(read / needed, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--shape", default="256,384,384")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared", action="store_true", help="all have all cores")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--folder", help="where to write; a temporary one if not given")
    asked = parser.parse_args()
    shape = "64,128,128" if asked.quick else asked.shape
    rounds = 1 if asked.quick else asked.rounds
    os.environ.update(KEYS)
    ready, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    cores = sorted(os.sched_getaffinity(0))
    if not asked.shared:
        os.sched_setaffinity(server.pid or 0, cores[-1:])
        os.sched_setaffinity(0, cores[:-1])  # ours, and of all that we start
    endpoint = f"http://127.0.0.1:{ready.recv()}"
    try:
        with tempfile.TemporaryDirectory(dir=asked.folder) as name:
            found = measured(
                Path(name), endpoint, shape, rounds, asked.ways, server.pid or 0
            )
    finally:
        server.terminate()
        server.join()
    print(json.dumps(found, indent=2))
    if not asked.quick:
        file = RESULTS / "stores.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        kept["on the run's cores" if asked.shared else "on a core of its own"] = found
        file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def measured(
    folder: Path, endpoint: str, shape: str, rounds: int, chosen: list[str], server: int
) -> dict[str, Any]:
    os.environ["BLOCKSEG_STATE"] = str(folder / "state")
    made = brain(folder, "dense", to_zyx(map(int, shape.split(","))))
    request = urllib.request.Request(f"{endpoint}/brains", method="PUT")
    urllib.request.urlopen(request).close()
    root = RemotePath(Address.parse(f"s3+{endpoint}/brains"))
    for path in sorted(made.rglob("*")):
        if path.is_file():
            target = root / "brain" / path.relative_to(made).as_posix()
            target.write_bytes(path.read_bytes())
    needed = sum(size for _, size in (root / "brain" / "0" / "c").below())
    ways = {
        "disk to disk": (str(made), str(folder / "out")),
        "S3 to S3": (str(root / "brain"), str(root / "out")),
        "S3 to disk": (str(root / "brain"), str(folder / "mixed")),
    }
    ways = {way: ways[way] for way in chosen}
    serving = psutil.Process(server)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    counts: dict[str, Any] = {}
    contents: dict[str, dict[str, bytes]] = {}
    for turn in range(rounds):
        order = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for way in order:
            source, out = ways[way]
            counted(endpoint)
            before = sum(serving.cpu_times()[:2])
            spent = command("run", source, out, "--overwrite", "--no-report")
            busy = sum(serving.cpu_times()[:2]) - before
            seconds[way].append(spent)
            print(f"{way}: {spent:.1f} s", file=sys.stderr)
            blocks = blocks_of(out)
            if way != "disk to disk":
                counts[way] = summary(counted(endpoint), needed, blocks)
                counts[way]["CPU seconds of the server"] = round(busy, 2)
            place = RemotePath(Address.parse(out)) if "://" in out else Path(out)
            contents[way] = files_in(place)
            if isinstance(place, Path):
                shutil.rmtree(place)
    typical = {way: statistics.median(each) for way, each in seconds.items()}
    same = all(each == contents["disk to disk"] for each in contents.values())
    voxels = math.prod(map(int, shape.split(",")))
    return {
        "machine": machine_facts(),
        "cores of the run": len(os.sched_getaffinity(0)),
        "shape": shape,
        "rounds": rounds,
        "seconds": seconds,
        "voxels per second": {way: voxels / s for way, s in typical.items()},
        "speed over that of the disk": {
            way: typical["disk to disk"] / s for way, s in typical.items()
        },
        "same bytes": same,
        "at the server": counts,
    }


def blocks_of(out: str) -> int:
    """Return how many blocks a run wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "blockseg_cli", "status", out, "--json"],
        check=True,
        capture_output=True,
        env={**os.environ, **KEYS},
    )
    return int(json.loads(done.stdout)["phases"][0]["done"])


if __name__ == "__main__":
    main()
