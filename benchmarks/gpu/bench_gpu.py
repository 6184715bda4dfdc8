"""Measure ways to run the network on a GPU: one command for a bare machine.

    python -m benchmarks.gpu.bench_gpu [--rows NAME ...] [--edge 300] [--weights FILE]
        [--volumes FILE[=TRUTH] ...] [--zarr VOLUME | --shape 1024] [--again]
        [--json FILE] [--smoke]

Each row runs in a process of its own; one that fails says why, and the others go on. Its
result is kept in ``results/gpu.json`` under the card's name as soon as it is there,
and not run again (``--again`` runs it).

A row takes ``edge``³ voxels of uint16 in main memory and gives uint8 there (the best of
several times), and runs the network alone on a window that is on the card already.
The limits are measured in the same run: a copy within the card's memory, copies to and
from it, and square matrix products. The share of the matrix rate is of the
multiply-adds that the window asks for at the row's precision; that of the copy rate is of
the bytes of all feature maps, each read and written once, of engines whose maps are known
to be stored so.

``--volumes`` compares masks with those of torch in float32, and with annotations where a
file of them is named. The rows ``run-…`` segment a Zarr from end to end with ``blockseg
run``: one of noise, or ``--zarr``.

``--smoke`` does all of it at toy sizes on the CPU, with a fake in place of the card for
whole runs: it says whether the script works, and nothing of any speed.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.networks.shipped import default_weights
from blockseg.networks.weights_info import load_info, sha256

if TYPE_CHECKING:
    from benchmarks.gpu.gpu_ways import Way
    from blockseg.core.geometry import Zyx

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "gpu.json"
RUNS = {
    "run-auto": ("auto",),
    "run-tensorrt": ("tensorrt",),
    "run-cuda": ("cuda",),
    "run-torch": ("torch",),
}
LIMITS = "limits"
_BRICK = 256  # voxels of noise that a volume is made of, again and again


def way_row(task: dict[str, Any]) -> dict[str, Any]:
    """Time one way, and compare its masks."""
    import torch

    from benchmarks.gpu.gpu_machine import best, wait
    from benchmarks.gpu.gpu_ways import WAYS, network_of

    way, device = WAYS[task["row"]], task["device"]
    edge = task["edge"]
    length = edge if way.edge is None or task["smoke"] else way.edge
    core = (length,) * 3
    by = normalisation(task["weights"])
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else 0
    network = network_of(way, task["weights"])
    width, architecture = network.width, network.architecture
    running = way.make(network, core, by, device, task["weights"])
    raw = np.random.default_rng(0).integers(100, 300, (edge,) * 3, np.uint16)
    times = (1, 0.0) if task["smoke"] else (5, 2.0)
    seconds = best(lambda: running.segment(raw), device, *times)
    forward = best(running.forward, device, *times)
    wait(device)
    used = free - torch.cuda.mem_get_info()[0] if device == "cuda" else 0
    peak = torch.cuda.max_memory_reserved() if device == "cuda" else 0
    found = {
        "title": way.title,
        "core": core,
        "host_to_host_seconds": seconds,
        "voxels_per_second": edge**3 / seconds,
        "forward_seconds": forward,
        "forward_voxels_per_second": math.prod(core) / forward,
        "device_bytes": max(used, peak),
        "multiply_adds": multiply_adds(architecture, width, core, padded=way.padded),
        "map_bytes": map_bytes(way, core, width),
    }
    running.close()
    if way.architecture == "sdasn":
        found["volumes"] = {
            Path(said).name: compared(said, task, way, by) for said in task["volumes"]
        }
    return found


def normalisation(weights: str) -> Any:
    """Return one offset and scale for noise."""
    from blockseg.core.specs import Affine

    low, high = load_info(weights).clip
    return Affine(200.0, 60.0, low, high)


def multiply_adds(architecture: str, width: int, core: Zyx, *, padded: bool) -> int:
    """Count those of a window as it is computed."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from blockseg.networks.cost import multiply_adds as cropped
    from blockseg.networks.registry import build

    if not padded:
        return cropped(architecture, width, core)
    with torch.device("meta"):
        same = build(architecture, width).eval()
        tile = torch.empty((1, 1, *core))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        same(tile)
    return int(counter.get_total_flops()) // 2


def map_bytes(way: Way, core: Zyx, width: int) -> int:
    """Return the bytes of the maps that go to memory and back; 0 if not known."""
    from blockseg.inference.backends.cuda.cost import layer_costs
    from blockseg.inference.backends.cuda.plan import ON_CHIP

    if way.stored == "unknown":
        return 0
    on_chip = ON_CHIP if way.stored == "fused" else frozenset()
    costs = layer_costs(core, width, on_chip)
    itemsize = 2 if way.precision == "float16" else 4
    return sum(cost.read + cost.written for cost in costs) * itemsize // 2


def compared(said: str, task: dict[str, Any], way: Way, by: Any) -> dict[str, Any]:
    """Compare masks of a volume with torch float32, and with annotations."""
    from benchmarks.gpu.gpu_ways import WAYS, network_of
    from blockseg.core.geometry import ceil_to, to_zyx
    from blockseg.io.find import find
    from blockseg.io.open import open_volume

    path, _, truth_path = said.partition("=")
    try:
        volume = open_volume(find(path))
        raw = read(volume, task["edge"])
        found = {}
        for name, one in (("torch-fp32", WAYS["torch-fp32"]), ("this", way)):
            size = 16 if task["smoke"] else 96
            core = (size,) * 3
            if one.padded:  # one pass over the whole, as its title says
                core = to_zyx(ceil_to(n, 4) for n in raw.shape)
            network = network_of(one, task["weights"])
            running = one.make(network, core, by, task["device"], task["weights"])
            found[name] = running.segment(raw)
            running.close()
        true, got = found["torch-fp32"], found["this"]
        off = np.abs(true.astype(np.int16) - got)
        flips = (true >= 128) != (got >= 128)
        row = {
            "voxels": int(raw.size),
            "largest_difference": float(off.max()) / 255,
            "flips": int(flips.sum()),
            "flipped": float(flips.mean()),
        }
        if truth_path:
            truth = read(open_volume(find(truth_path)), task["edge"]) > 0
            row["f1"] = f1(got >= 128, truth)
            row["f1_float32"] = f1(true >= 128, truth)
    except Exception as error:  # noqa: BLE001 - a volume that cannot be read is told
        return {"failed": f"{type(error).__name__}: {error}"}
    return row


def read(volume: Any, edge: int) -> Any:
    """Return at most ``edge`` voxels an axis, from the volume's start."""
    from blockseg.core.geometry import Roi

    return volume.read(Roi.whole(min(n, edge) for n in volume.shape))


def f1(found: Any, truth: Any) -> float:
    """Return the harmonic mean of precision and recall, voxel by voxel."""
    both = int((found & truth).sum())
    return 2 * both / max(1, int(found.sum()) + int(truth.sum()))


def run_row(task: dict[str, Any]) -> dict[str, Any]:
    """Segment a Zarr from end to end with ``blockseg run``."""
    (backend,) = RUNS[task["row"]]
    out = Path(task["folder"]) / f"{task['row']}.zarr"
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, "-m", "blockseg_cli", "run", task["zarr"], str(out)]
    words += ["--normalization", "200,60", "--device", "cuda", "--no-metrics", "-q"]
    words += ["--voxel-size", "1,1,1"]
    if task["smoke"]:
        words += ["--backend", "fake", "--block", "64", "--window", "32"]
        words += ["--scheduler", "serial"]
    else:
        words += ["--backend", backend, "--weights", task["weights"]]
    for file in Path(task["zarr"]).rglob("*"):  # into the page cache
        if file.is_file():
            file.read_bytes()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        return {"failed": (said or ["?"])[-1]}
    record = json.loads((out / ".blockseg" / "run.json").read_text())
    session, decisions = record["sessions"][-1], record["decisions"]
    totals = session["totals"]
    shutil.rmtree(out)
    return {
        "title": f"blockseg run --backend {backend}",
        "engine": f"{decisions['backend']} {decisions['precision']}",
        "window": decisions["window"],
        "block": decisions["block"],
        "seconds": session["seconds"],
        "voxels_per_second": totals["written"] / max(session["seconds"], 1e-9),
        "worker_seconds": totals["seconds"],
        "computed_otherwise": session.get("otherwise", {}),
        "tried": (decisions.get("trial") or {}).get("tried"),
    }


def limits_row(task: dict[str, Any]) -> dict[str, Any]:
    """Measure the card's rates."""
    from benchmarks.gpu.gpu_machine import limits

    return dict(limits(task["device"], quick=task["smoke"]))


def noise(path: Path, edge: int) -> str:
    """Write a volume of noise as Zarr with chunks of 64³; once."""
    import zarr

    if not path.exists():
        part = path.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        array = zarr.create_array(
            part, shape=(edge,) * 3, dtype="u2", chunks=(min(64, edge),) * 3
        )
        brick = np.random.default_rng(0).poisson(200, (min(_BRICK, edge),) * 3)
        step = brick.shape[0]
        for place in np.ndindex((math.ceil(edge / step),) * 3):
            box = tuple(slice(i * step, min(edge, (i + 1) * step)) for i in place)
            cut = tuple(slice(0, s.stop - s.start) for s in box)
            array[box] = brick[cut].astype("u2")
        part.replace(path)
    return str(path)


def kind_of(row: str) -> Any:
    """Return the function that measures a row."""
    if row == LIMITS:
        return limits_row
    return run_row if row in RUNS else way_row


def apart(task: dict[str, Any]) -> dict[str, Any]:
    """Measure a row in a process of its own; what fails says why."""
    if task["smoke"]:
        try:
            return dict(kind_of(task["row"])(task))
        except Exception as error:  # noqa: BLE001 - a row that cannot run is a row
            return {"failed": f"{type(error).__name__}: {error}"}
    words = [
        sys.executable,
        "-m",
        "benchmarks.gpu.bench_gpu",
        "--task",
        json.dumps(task),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        return {"failed": last}
    return dict(json.loads(done.stdout.splitlines()[-1]))


HEAD = (
    f"{'':44}{'host to host':>20}{'forward':>20}{'memory':>9}{'copy':>7}{'matrix':>8}"
    f"{'flips':>9}\n{'':44}{'ms':>10}{'Mvox/s':>10}{'ms':>10}{'Mvox/s':>10}{'GB':>9}"
    f"{'share':>7}{'share':>8}{'most':>9}"
)


def line(name: str, row: dict[str, Any], limits: dict[str, Any], precision: str) -> str:
    """Return one row of the table."""
    title = f"{row.get('title', name):44.44}"
    if "failed" in row:
        return f"{title}  {row['failed'][:90]}"
    if name in RUNS:
        said = (
            f"{title}{row['seconds'] * 1e3:10.0f}{row['voxels_per_second'] / 1e6:10.1f}"
        )
        return f"{said}  {row['engine']}, windows of {row['window']}"
    if name == LIMITS:
        said = ", ".join(f"{key} {value:.3g}/s" for key, value in row.items())
        return f"{title}  {said}"
    text = (
        f"{title}{row['host_to_host_seconds'] * 1e3:10.1f}"
        f"{row['voxels_per_second'] / 1e6:10.1f}{row['forward_seconds'] * 1e3:10.1f}"
        f"{row['forward_voxels_per_second'] / 1e6:10.1f}{row['device_bytes'] / 1e9:9.2f}"
    )
    copy = ""
    if row["map_bytes"] and "copy" in limits:
        copy = f"{row['map_bytes'] / row['forward_seconds'] / limits['copy']:.0%}"
    matrix = ""
    if precision in limits:
        rate = row["multiply_adds"] / row["forward_seconds"]
        matrix = f"{rate / limits[precision]:.1%}"
    flips = [
        one["flipped"] for one in row.get("volumes", {}).values() if "flipped" in one
    ]
    most = f"{max(flips):.0e}" if flips else ""
    return f"{text}{copy:>7}{matrix:>8}{most:>9}"


def save(path: Path, results: dict[str, Any]) -> None:
    """Write all results in one step."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(results, indent=1) + "\n")
    part.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", metavar="NAME")
    parser.add_argument("--edge", type=int, default=300)
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--volumes", nargs="+", default=[], metavar="FILE[=TRUTH]")
    parser.add_argument(
        "--zarr", help="volume of whole runs; one of noise if not given"
    )
    parser.add_argument("--shape", type=int, default=1024, help="edge of that of noise")
    parser.add_argument("--folder", type=Path, help="for it and for what runs write")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--again", action="store_true", help="run rows that are there")
    parser.add_argument("--smoke", action="store_true", help="toy sizes on the CPU")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        task = json.loads(given.task)
        sys.stdout.write("\n" + json.dumps(kind_of(task["row"])(task)) + "\n")
        return 0
    import torch

    from benchmarks.gpu.gpu_machine import machine
    from benchmarks.gpu.gpu_ways import WAYS

    if not (given.smoke or torch.cuda.is_available()):
        sys.stderr.write("torch finds no CUDA device here; --smoke tries the script\n")
        return 1
    every = [LIMITS, *WAYS, *RUNS]
    unknown = sorted(set(given.rows or ()) - set(every))
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; choose from {', '.join(every)}")
    if given.smoke:
        given.edge, given.shape = 16, 64
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        here = machine("cpu" if given.smoke else "cuda")
        measure(given, folder, here, every)
    return 0


def measure(given: Any, folder: Path, here: dict[str, Any], every: list[str]) -> None:
    """Measure the rows that are missing, and print all that were asked for."""
    from benchmarks.gpu.gpu_ways import WAYS

    results = json.loads(given.json.read_text()) if given.json.exists() else {}
    key = f"{here['card']}, {given.edge}³"
    mine = results.setdefault(key, {"rows": {}})
    rows = mine["rows"]
    mine |= {"machine": here, "weights": sha256(given.weights), "edge": given.edge}
    sys.stdout.write(f"{here['card']}, {here['cores']} cores\n{HEAD}\n")
    for name in given.rows or every:
        if given.again or "failed" in rows.get(name, {"failed": "not yet"}):
            task = {
                "row": name,
                "edge": given.edge,
                "device": "cpu" if given.smoke else "cuda",
                "weights": given.weights,
                "volumes": given.volumes,
                "smoke": given.smoke,
                "folder": str(folder),
            }
            if name in RUNS:
                task["zarr"] = given.zarr or noise(folder / "noise.zarr", given.shape)
            rows[name] = apart(task)
            save(given.json, results)
        precision = WAYS[name].precision if name in WAYS else ""
        limits = rows.get(LIMITS, {})
        sys.stdout.write(line(name, rows[name], limits, precision) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
