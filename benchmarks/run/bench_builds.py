"""Compare whole runs of this build with those of another one, in turn.

    python -m benchmarks.run.bench_builds OTHER [--shapes 160,160,160 ...] [--rows ...]
        [--rounds 3] [--brain dense] [--json FILE] [--rivals]

OTHER is a checkout of the build to compare with, which has its own ``.venv``: an earlier
commit in a worktree, for instance. For each shape all rows run one after the other, and
that as often as there are rounds; medians count. A row is a command in processes of its
own, from an OME-Zarr to a probability and a mask; see :mod:`benchmarks.run.bench_run` for what
is measured, and for the rivals, which run once at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.infer.infer_machine import machine
from benchmarks.run.bench_run import RESULTS, Watched, mask_of, of_run
from benchmarks.run.run_brains import brain
from blockseg.core.geometry import Zyx, to_zyx
from blockseg.networks.shipped import default_weights

ROWS = {
    "other": [],
    "float32": [],
    "bfloat16": ["--precision", "bfloat16"],
    "fast": ["--precision", "fast"],
    "robust": ["--normalization", "robust"],
    "low-memory": ["--config", "low-memory"],
    "sparse": ["--sparse"],
    "sparse-bfloat16": ["--sparse", "--precision", "bfloat16"],
    "openvino": ["--backend", "openvino"],
}
"""Options of each row; ``other`` is the other build, with its own weights."""

RIVALS = {"published": ["published"], "cellpose-pattern": ["cellpose-pattern"]}


def run_once(row: str, source: Path, out: Path, given: Any) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    root = Path(given.other).absolute() if row == "other" else Path.cwd()
    python = root / ".venv/bin/python" if row == "other" else Path(sys.executable)
    words = [str(python), "-m", "blockseg_cli", "run", str(source), str(out)]
    here = Path.cwd()
    os.chdir(root)  # the package of a checkout is found from there
    try:
        done = Watched([*words, "-q", *ROWS[row]])
    finally:
        os.chdir(here)
    if done.code:
        message = f"{row}: {done.output}"
        raise SystemExit(message)
    return {
        "seconds": done.seconds,
        "peak_bytes": done.peak,
        "cpu_seconds": done.cpu_seconds(),
        "session_seconds": _session(out),
    }


def _session(out: Path) -> float:
    record = json.loads((out / ".blockseg" / "run.json").read_text())
    return float(record["sessions"][-1]["seconds"])


def rival(name: str, source: Path, out: Path) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, "-m", "benchmarks.run.run_rivals", *RIVALS[name]]
    weights = str(default_weights())
    done = Watched(
        [*words, str(source), str(out), "--weights", weights, "--threads", "2"]
    )
    if done.code:
        message = f"{name}: {done.output}"
        raise SystemExit(message)
    shutil.rmtree(out, ignore_errors=True)
    return {"seconds": [done.seconds], "median": done.seconds, "peak_bytes": done.peak}


def compared(shape: Zyx, given: Any) -> dict[str, Any]:
    source = brain(given.folder, given.brain, shape)
    runs: dict[str, list[dict[str, Any]]] = {row: [] for row in given.rows}
    for turn in range(given.rounds):
        for row in given.rows:
            out = given.folder / f"{source.stem}-builds-{row}.out"
            runs[row].append(run_once(row, source, out, given))
            print(turn, row, round(runs[row][-1]["seconds"], 2), flush=True)
    found: dict[str, Any] = {}
    for row, every in runs.items():
        out = given.folder / f"{source.stem}-builds-{row}.out"
        middle = statistics.median(one["seconds"] for one in every)
        found[row] = {
            "median": middle,
            "seconds": [one["seconds"] for one in every],
            "peak_bytes": max(one["peak_bytes"] for one in every),
            "cpu_seconds": every[-1]["cpu_seconds"],
            "session_seconds": [one["session_seconds"] for one in every],
        }
        if row != "other":
            given.weights = str(default_weights())
            found[row] |= {"run": of_run(out, shape, given)}
    reference = given.folder / f"{source.stem}-builds-float32.out"
    for row in given.rows:
        out = given.folder / f"{source.stem}-builds-{row}.out"
        if row != "float32" and reference.exists():
            found[row] |= _differences(reference, out)
    for row in given.rows:
        shutil.rmtree(given.folder / f"{source.stem}-builds-{row}.out")
    if given.rivals:
        for name in RIVALS:
            found[name] = rival(name, source, given.folder / f"{name}.out")
    return found


def _differences(reference: Path, out: Path) -> dict[str, Any]:
    """Return how many voxels of a mask are not those of float32."""
    one, other = mask_of("blockseg", reference), mask_of("blockseg", out)
    return {
        "flips": int(np.count_nonzero(one != other)),
        "foreground": int(np.count_nonzero(one)),
    }


def table(found: dict[str, Any]) -> str:
    first = found.get("other", found["float32"])["median"]
    lines = [
        f"{'':18}{'s':>8}{'times':>8}{'GB':>7}{'engines':>9}{'share':>7}{'flips':>9}"
    ]
    for row, one in found.items():
        line = f"{row:18}{one['median']:8.1f}{first / one['median']:8.2f}"
        line += f"{one['peak_bytes'] / 1e9:7.2f}"
        if "run" in one:
            alone = one["run"]["alone_seconds"]
            line += f"{alone:9.1f}{alone / one['median']:7.0%}"
            line += f"{one.get('flips', 0):9}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other")
    parser.add_argument("--shapes", nargs="+", default=["160,160,160", "256,512,512"])
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=["other", "float32", "bfloat16"]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--brain", default="dense")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/blockseg-bench"))
    parser.add_argument("--json", type=Path, default=RESULTS / "builds.json")
    parser.add_argument("--rivals", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    results = json.loads(given.json.read_text()) if given.json.exists() else {}
    for text in given.shapes:
        shape = to_zyx(int(n) for n in text.split(","))
        found = compared(shape, given)
        key = f"{given.brain} {'x'.join(map(str, shape))}"
        results[key] = {"machine": machine(), **found}
        given.json.write_text(json.dumps(results, indent=1) + "\n")
        print(key, table(found), sep="\n", flush=True)


if __name__ == "__main__":
    main()
