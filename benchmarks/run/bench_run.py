"""Compare whole runs: a brain as OME-Zarr in, probability and mask as Zarr out.

    python -m benchmarks.run.bench_run [--rows NAME ...] [--brains dense sparse few]
        [--shape 256,512,512] [--threads 2] [--folder DIR] [--again] [--quick]

Each row is a command in processes of its own; its result is kept in
``results/run.json`` as soon as it is there, and not run again, but with ``--again``:
then ``all_seconds`` keeps every run, and the median of them counts. Begin and end with a
row of ours, since machines drift.

Brains are painted from seeds at the first use: densely, or with dense neurites in 5 % of
the 64³ windows, or with few axons. Speed is written voxels over the clock's time from
start to end of the command, imports included. Memory is the largest sum over all processes of what each has
resident and shares with none, and the most that one of them shares, looked at five times
a second (PSS would be finer, but walking the page tables of such processes slows them). ``differs`` is the share of
the brain's mask that is not that of ``blockseg run``: seams, or what was passed over;
``lost`` is what of it is missing, ``lost_of_neurites`` the same of pieces of 8 voxels or more.

For blockseg, ``alone`` is the time that as many engines side by side take for the same
windows with nothing else to do, over that of the command (imports, estimates and the
pyramid included) and over that of the run's session. ``cpu_seconds`` and
``alone_cpu_seconds`` say where the cores' time went: [user, system].
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr

from benchmarks.infer.infer_machine import machine
from benchmarks.run.run_engines import engines
from blockseg.core.geometry import Roi
from blockseg.inference.components import long_components
from blockseg.networks.shipped import default_weights

HERE = Path(__file__).parent
RESULTS = HERE / "results"
_POLL = 0.2  # s

OURS = {
    "blockseg": [],
    "blockseg-128": ["--block", "128", "--window", "128"],
    "blockseg-sparse": ["--sparse"],
}
RIVALS = {
    "published": ["published"],
    "published-96": ["published", "--edge", "96"],
    "published-halo": ["published", "--halo", "32"],
    "monai": ["monai"],
    "map-overlap": ["map-overlap"],
    "cellpose-pattern": ["cellpose-pattern"],
}
TITLES = {
    "blockseg": "blockseg run",
    "blockseg-128": "blockseg run, blocks and windows of 128³",
    "blockseg-sparse": "blockseg run --sparse",
    "published": "published loop, windows of 128³, no halo",
    "published-96": "published loop, windows of 96³, no halo",
    "published-halo": "published loop, cores of 128³, halo of 32",
    "monai": "MONAI SlidingWindowInferer, 128³, overlap 0.25",
    "map-overlap": "dask map_overlap, blocks of 128³, halo of 32",
    "cellpose-pattern": "one Dask task a block of 128³, halo of 32",
}


def with_bytecode() -> dict[str, str]:
    """Return an environment in which builds keep their bytecode, as installed ones do.

    Else each process of a build compiles its modules anew, where a machine says so.
    """
    place = Path(tempfile.gettempdir()) / "blockseg-bytecode"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(place)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


class Watched:
    """A command, and what all its processes used."""

    def __init__(self, words: list[str]) -> None:
        self.peak = 0
        self.read: dict[int, int] = {}
        self.cpu: dict[int, tuple[float, float]] = {}
        start = time.perf_counter()
        with tempfile.TemporaryFile("w+") as said:
            with subprocess.Popen(
                words, stdout=said, stderr=subprocess.STDOUT, env=with_bytecode()
            ) as child:
                self.root = child.pid
                root = psutil.Process(child.pid)
                while child.poll() is None:
                    self._look(root)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(_POLL)
            self.seconds = time.perf_counter() - start
            said.seek(0)
            self.output = said.read()
        self.code = child.returncode

    def _look(self, root: psutil.Process) -> None:
        alone, shared = 0, [0]
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    memory = process.memory_info()
                    alone += memory.rss - memory.shared
                    shared.append(memory.shared)
                    self.read[process.pid] = process.io_counters().read_chars
                    spent = process.cpu_times()
                    self.cpu[process.pid] = spent.user, spent.system
        self.peak = max(self.peak, alone + max(shared))

    def cpu_seconds(self) -> dict[str, list[float]]:
        """Return CPU seconds, user's and system's, of the command and of all it started."""
        first = self.cpu.get(self.root, (0.0, 0.0))
        every = [sum(column) for column in zip(*self.cpu.values(), strict=True)]
        rest = [a - b for a, b in zip(every, first, strict=True)]
        return {"command": list(first), "workers": rest}


def row(name: str, source: Path, out: Path, given: Any) -> dict[str, Any]:
    """Run one row and return its numbers."""
    shutil.rmtree(out, ignore_errors=True)
    if name in OURS:
        words = [sys.executable, "-m", "blockseg_cli", "run", str(source), str(out)]
        words += ["--normalization", "robust"]  # as the others have it
        words += ["--weights", given.weights, "-q", *OURS[name], *given.more]
    else:
        words = [sys.executable, "-m", "benchmarks.run.run_rivals", RIVALS[name][0]]
        words += [str(source), str(out), "--weights", given.weights]
        words += ["--threads", str(given.threads), *RIVALS[name][1:]]
        if given.quick:
            words += ["--edge", "64"]
    done = Watched(words)
    if done.code:
        return {"failed": (done.output.strip().splitlines() or ["?"])[-1]}
    shape = zarr.open_array(str(source / "0"), mode="r").shape
    found = {
        "seconds": done.seconds,
        "voxels_per_second": float(np.prod(shape)) / done.seconds,
        "peak_bytes": done.peak,
        "read_chars": sum(done.read.values()),
        "cpu_seconds": done.cpu_seconds(),
    }
    if name not in OURS:
        said: dict[str, Any] = json.loads(done.output.strip().splitlines()[-1])
        return found | said
    return found | of_run(out, shape, given)


def of_run(out: Path, shape: Any, given: Any) -> dict[str, Any]:
    """Return what a run of blockseg recorded of itself."""
    from blockseg.runtime.ledger.ledger import Ledger

    record = json.loads((out / ".blockseg" / "run.json").read_text())
    with Ledger.read(out / ".blockseg" / "ledger.sqlite") as ledger:
        summary = ledger.summary("segment")
    decisions, blocks = record["decisions"], record["facts"]["blocks"]
    # The rule by which a run divides the machine; see runtime.plan_layout.
    workers = min(blocks, max(1, machine()["cores"] // decisions["threads"]))
    window = tuple(decisions["window"])
    alone = {"seconds": 0.0, "cpu": [0.0, 0.0]}
    if not summary.totals["skipped"]:
        alone = engines(shape, decisions, workers, given.weights)
    return {
        "tasks": blocks,
        "window": window,
        "block": decisions["block"],
        "workers": workers,
        "read_bytes": summary.totals["read_bytes"],
        "decoded_bytes": summary.totals["decoded_bytes"],
        "computed_over_written": summary.totals["computed"] / summary.totals["written"],
        "session_seconds": record["sessions"][-1]["seconds"],
        "worker_seconds": dict(summary.seconds),
        "alone_seconds": alone["seconds"],
        "alone_cpu_seconds": alone["cpu"],
    }


def mask_of(name: str, out: Path) -> np.ndarray:
    """Return the mask that a row wrote."""
    inner = "labels/foreground/0" if name in OURS else "foreground"
    return np.asarray(zarr.open_array(str(out / inner), mode="r")[...])


HEAD = (
    f"{'':48}{'s':>8}{'Mvox/s':>8}{'times':>7}{'peak GB':>9}{'tasks':>8}"
    f"{'read GB':>9}{'differs':>9}"
)


def line(name: str, found: dict[str, Any], best: float) -> str:
    """Return one row of the table."""
    if "failed" in found:
        return f"{TITLES[name]:48}  {found['failed'][:80]}"
    speed = found["voxels_per_second"]
    text = (
        f"{TITLES[name]:48}{found['seconds']:8.1f}{speed / 1e6:8.2f}"
        f"{best / speed:7.1f}{found['peak_bytes'] / 1e9:9.2f}{found['tasks']:8}"
        f"{found['read_chars'] / 1e9:9.2f}"
    )
    if "differs" in found:
        text += f"{found['differs']:9.1%}"
    if name in OURS:
        by = "×".join(map(str, found["window"]))
        alone = found["alone_seconds"]
        text += (
            f"\n{'':8}windows of {by}, {found['workers']} workers; alone "
            f"{alone / found.get('seconds_of_this', found['seconds']):.0%} of the command's time, "
            f"{alone / found['session_seconds']:.0%} of the run's"
        )
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument(
        "--brains", nargs="+", choices=["dense", "sparse", "few", "bright"]
    )
    parser.add_argument("--shape", default="256,512,512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--folder", type=Path, default=Path("/tmp/blockseg-bench"))
    parser.add_argument("--json", type=Path, default=RESULTS / "run.json")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--quick", action="store_true", help="toy size: does it work?")
    given = parser.parse_args()
    given.more = ["--scheduler", "serial"] if given.quick else []
    brains = given.brains or ["dense", "sparse"]
    shape = tuple(int(n) for n in given.shape.split(","))
    if given.quick:
        shape, brains = (64, 64, 64), given.brains or ["dense"]
    results = json.loads(given.json.read_text()) if given.json.exists() else {}
    results["machine"] = machine()
    given.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for kind in brains:
        key = f"{kind} {'x'.join(map(str, shape))}"
        rows = results.setdefault(key, {})
        sys.stdout.write(f"{key}\n{HEAD}\n")
        for name in given.rows:
            if given.again or "voxels_per_second" not in rows.get(name, {}):
                earlier = rows.get(name, {}).get("all_seconds", [])
                rows[name] = with_earlier(fresh(name, kind, shape, given), earlier)
                given.json.parent.mkdir(exist_ok=True)
                given.json.write_text(json.dumps(results, indent=1) + "\n")
            best = rows.get("blockseg", {}).get("voxels_per_second", float("nan"))
            sys.stdout.write(line(name, rows[name], best) + "\n")
            sys.stdout.flush()
            failed += "failed" in rows[name]
    return int(failed > 0)


def with_earlier(found: dict[str, Any], earlier: list[float]) -> dict[str, Any]:
    """Let the median of all runs of a row count."""
    if "failed" in found:
        return found
    every = [*earlier, found["seconds"]]
    middle = float(np.median(every))
    speed = found["voxels_per_second"] * found["seconds"] / middle
    counted = {"seconds": middle, "voxels_per_second": speed, "all_seconds": every}
    # What lies beside the seconds is of this run, and so is what compares with them.
    return found | counted | {"seconds_of_this": found["seconds"]}


def fresh(name: str, kind: str, shape: Any, given: Any) -> dict[str, Any]:
    """Run a row and compare its mask with that of ``blockseg run``."""
    from benchmarks.run.run_brains import brain

    source = brain(given.folder, kind, shape)
    out = given.folder / f"{source.stem}-{name}.out"
    found = row(name, source, out, given)
    true = given.folder / f"{source.stem}-blockseg.out"
    if "failed" not in found and name != "blockseg" and true.exists():
        ours = mask_of("blockseg", true)
        theirs = mask_of(name, out)
        found["differs"] = float((ours != theirs).sum() / max(1, (ours > 0).sum()))
        found["lost"] = float((ours > theirs).sum() / max(1, (ours > 0).sum()))
        if name == "blockseg-sparse":
            neurites = (
                long_components(ours > 0, Roi.whole(ours.shape), ours.shape)[0] > 0
            )
            lost = neurites & (theirs == 0)
            found["lost_of_neurites"] = float(lost.sum() / max(1, neurites.sum()))
    if name != "blockseg":
        shutil.rmtree(out, ignore_errors=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
