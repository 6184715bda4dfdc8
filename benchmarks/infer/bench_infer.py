"""Compare ways to run the network on windows: speed, memory, parity.

    python -m benchmarks.infer.bench_infer [--ways NAME ...] [--window 128] [--threads 2]
        [--volume FILE.tif|PRESET] [--sweep] [--layers] [--json FILE] [--quick]

Each way runs in processes of its own, in turns: what disturbs the machine disturbs all.
Speed is that of written voxels, the best window of all turns, by the clock and by CPU
time; work is multiply-adds over those of one pass over the written voxels; the share is
of the machine's own float32 matrix product at as many threads. Parity is that of a whole
volume against torch float32 in one pass; without a halo it counts the seams.

``--sweep`` runs OpenVINO on windows of 64 to 256 voxels, flat ones too, and with other
settings. ``--layers`` shows where a window's time goes, and at what rate.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.infer.infer_machine import machine, peak_memory, sgemm
from blockseg.networks.shipped import default_weights

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

RESULTS = Path(__file__).parent / "results"
WINDOWS = ((64,) * 3, (96,) * 3, (128,) * 3, (160,) * 3, (192,) * 3, (256,) * 3)
FLAT = ((64, 256, 256), (128, 256, 256))
SETTINGS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "throughput": {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1},
    "pinned": {"ENABLE_CPU_PINNING": True},
    "no hyper-threading": {"ENABLE_HYPER_THREADING": False},
    "denormals as zero": {"CPU_DENORMALS_OPTIMIZATION": True},
    "exact order of execution": {"EXECUTION_MODE_HINT": "ACCURACY"},
}


def seconds(task: dict[str, Any]) -> dict[str, Any]:
    """Time windows of one way; in a process of its own."""
    from benchmarks.infer.infer_ways import (
        WAYS,
        OpenVinoWith,
        network_of,
    )

    way, core, threads = WAYS[task["way"]], tuple(task["core"]), task["threads"]
    network = network_of(way, task["weights"])
    backend = (
        OpenVinoWith(network, core, threads, task["settings"])
        if task.get("settings")
        else way.make(network, core, threads)
    )
    shape = [n + 2 * backend.field.reach for n in core]
    tile = np.random.default_rng(0).standard_normal(shape).astype(backend.dtype)
    tile *= 0.03  # of the published weights' scale
    backend.infer(tile, None)  # compiles, allocates
    wall: list[float] = []
    cpu: list[float] = []
    begun = time.perf_counter()
    while len(wall) < task["repeats"] or time.perf_counter() - begun < task["least"]:
        start, used = time.perf_counter(), time.process_time()
        backend.infer(tile, None)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    peak = peak_memory()
    voxels = math.prod(core)
    return {
        "wall": min(wall),
        "cpu": min(cpu),
        "threads": threads,
        "peak_bytes": peak,
        "multiply_adds": _multiply_adds(network, backend.field.reach, core),
        "one_pass": _multiply_adds(network, None, (16, 16, 16)) / 16**3 * voxels,
        "sgemm": sgemm(threads, 0.0 if task["quick"] else 0.5),
    }


def _multiply_adds(network: Any, reach: int | None, core: Zyx) -> int:
    """Count a window as it is computed: padded as a whole, or cropped."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from blockseg.networks.registry import build

    if reach == network.reach:
        from blockseg.networks.cost import multiply_adds

        return multiply_adds(network.architecture, network.width, core)
    with torch.device("meta"):
        same = build(network.architecture, network.width).eval()
        tile = torch.empty((1, 1, *(n + 2 * (reach or 0) for n in core)))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        same(tile)
    return int(counter.get_total_flops()) // 2


def parity_of(task: dict[str, Any]) -> dict[str, Any]:
    """Segment a volume one way and compare; in a process of its own."""
    from benchmarks.infer.infer_volume import (
        normalisation,
        parity,
        segmented,
        volume,
    )
    from benchmarks.infer.infer_ways import WAYS, network_of

    way = WAYS[task["way"]]
    image = volume(task["volume"], task["edge"])
    by = normalisation(image, task["weights"])
    network = network_of(way, task["weights"])
    backend = way.make(network, tuple(task["core"]), task["threads"])
    found = segmented(image, backend, by)
    return dict(parity(found, np.load(task["reference"])))


def reference_of(task: dict[str, Any]) -> dict[str, Any]:
    """Segment a volume in one pass; in a process of its own."""
    from benchmarks.infer.infer_volume import normalisation, reference, volume
    from blockseg.networks.weights import load_weights

    image = volume(task["volume"], task["edge"])
    by = normalisation(image, task["weights"])
    network, _ = load_weights(task["weights"])
    np.save(task["reference"], reference(image, network, by))
    return {}


TASKS = {"seconds": seconds, "parity": parity_of, "reference": reference_of}


def apart(kind: str, task: dict[str, Any]) -> dict[str, Any]:
    """Do a task in a process of its own; what fails says why."""
    if task.get("quick"):
        try:
            return TASKS[kind](task)
        except Exception as error:  # noqa: BLE001 - a row that cannot run is a row
            return {"failed": f"{type(error).__name__}: {error}"}
    words = [sys.executable, "-m", "benchmarks.infer.bench_infer", "--task"]
    words.append(json.dumps({"kind": kind, **task}))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        return {"failed": last}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def timed(tasks: dict[str, dict[str, Any]], rounds: int) -> dict[str, dict[str, Any]]:
    """Time every task ``rounds`` times in turns; keep the best of each."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, task in tasks.items():
            if "failed" in best.get(name, {}):
                continue
            new, old = apart("seconds", task), best.get(name)
            if old is not None and "failed" not in new:
                for key in ("wall", "cpu"):
                    new[key] = min(new[key], old[key])
                for key in ("wall", "cpu"):
                    new["sgemm"][key] = max(new["sgemm"][key], old["sgemm"][key])
            best[name] = new
    return best


HEAD = (
    f"{'':46}{'Mvox/s':>8}{'per CPU s':>10}{'work':>6}{'sgemm':>7}"
    f"{'peak MB':>9}{'max. difference':>17}{'flips':>9}"
)


def line(title: str, row: dict[str, Any], core: tuple[int, ...]) -> str:
    """Return one row of the table."""
    by = "×".join(map(str, core)) if len(set(core)) > 1 else f"{core[0]}³"
    title = f"{title}, {by}"
    if "failed" in row:
        return f"{title:46.46}  {row['failed'][:80]}"
    row["voxels_per_second"] = math.prod(core) / row["wall"]
    row["voxels_per_cpu_second"] = math.prod(core) / row["cpu"]
    row["sgemm_share"] = row["multiply_adds"] / row["cpu"] / row["sgemm"]["cpu"]
    row["sgemm_share"] *= row["threads"]  # CPU time is that of all of them
    text = (
        f"{title:46.46}{row['voxels_per_second'] / 1e6:8.2f}"
        f"{row['voxels_per_cpu_second'] / 1e6:10.2f}"
        f"{row['multiply_adds'] / row['one_pass']:6.2f}{row['sgemm_share']:7.0%}"
        f"{row['peak_bytes'] / 1e6:9.0f}"
    )
    if "flips" in row:
        text += f"{row['largest_difference']:17.1e}{row['flips']:9.0e}"
    elif "parity_failed" in row:
        text += f"  {row['parity_failed'][:60]}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", metavar="NAME")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--volume", default="lightsheet", help="TIFF stack or preset")
    parser.add_argument("--edge", type=int, default=160, help="of that volume, at most")
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--quick", action="store_true", help="toy sizes: does it work?")
    parser.add_argument("--json", type=Path, default=RESULTS / "infer.json")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        task = json.loads(given.task)
        sys.stdout.write("\n" + json.dumps(TASKS[task.pop("kind")](task)) + "\n")
        return 0
    from benchmarks.infer.infer_ways import WAYS

    names = given.ways or list(WAYS)
    unknown = sorted(set(names) - set(WAYS))
    if unknown:
        parser.error(f"no way {', '.join(unknown)}; choose from {', '.join(WAYS)}")
    if given.quick:
        given.window, given.edge, given.rounds = 8, 40, 1
    common = {
        "weights": given.weights,
        "threads": given.threads,
        "repeats": 1 if given.quick else 3,
        "least": 0.0 if given.quick else 2.0,
        "quick": given.quick,
    }
    results: dict[str, Any] = {"machine": machine(), "threads": given.threads}
    sys.stdout.write(f"{results['machine']['processor']}, {given.threads} threads\n")
    sys.stdout.write(HEAD + "\n")
    if given.sweep:
        results["sweep"] = swept(given, common)
    elif not given.layers:
        results["volume"] = Path(given.volume).name
        results["ways"] = compared(given, common, names)
    if given.layers:
        from benchmarks.infer.infer_layers import layers, table

        found = layers(given.weights, (given.window,) * 3, given.threads)
        results["layers"] = found
        sys.stdout.write(table(found) + "\n")
    given.json.parent.mkdir(exist_ok=True)
    earlier = json.loads(given.json.read_text()) if given.json.exists() else {}
    given.json.write_text(json.dumps({**earlier, **results}, indent=1) + "\n")
    return 0


def compared(given: Any, common: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Run the table of all ways."""
    from benchmarks.infer.infer_ways import WAYS

    cores = {}
    for name in names:
        edge = WAYS[name].core if not given.quick else None
        cores[name] = (edge or given.window,) * 3
    tasks = {n: {**common, "way": n, "core": cores[n]} for n in names}
    rows = timed(tasks, given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        of = {
            "reference": str(Path(folder, "reference.npy")),
            "volume": given.volume,
            "edge": given.edge,
        }
        failed = apart("reference", {**common, **of}).get("failed")
        for name in names:
            row = rows[name]
            if "failed" not in row and WAYS[name].architecture == "sdasn":
                found = (
                    {"failed": failed}
                    if failed
                    else apart("parity", {**tasks[name], **of})
                )
                row |= (
                    found
                    if "failed" not in found
                    else {"parity_failed": found["failed"]}
                )
            row["core"] = cores[name]
            sys.stdout.write(line(WAYS[name].title, row, cores[name]) + "\n")
            sys.stdout.flush()
    return rows


def swept(given: Any, common: dict[str, Any]) -> dict[str, Any]:
    """Run OpenVINO on many windows and with many settings."""
    windows = ((8,) * 3, (8, 16, 16)) if given.quick else WINDOWS + FLAT
    tasks, of = {}, {}
    for core in windows:
        name = f"window {'×'.join(map(str, core))}"
        tasks[name] = {**common, "way": "openvino", "core": core}
        of[name] = core
    for title, settings in SETTINGS.items():
        core = (given.window,) * 3
        tasks[title] = {**common, "way": "openvino", "core": core, "settings": settings}
        of[title] = core
    rows = timed(tasks, given.rounds)
    for name, row in rows.items():
        row["core"] = of[name]
        sys.stdout.write(
            line(
                "OpenVINO " + name.split(" ")[0] if name.startswith("window") else name,
                row,
                of[name],
            )
            + "\n"
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
