"""Labels of a whole brain: ``blockseg label`` beside what a user would do instead.

    python -m benchmarks.objects.bench_label [--folder DIR] [--json FILE] [--quick]

1024×1024×512 voxels of filaments, a twentieth of them foreground, in blocks of 128³. Every
row is a command of its own with as many workers; its time is that of the command, start
included, but for the rivals, whose clusters are up before their clock begins. The float32
inference that labels are measured against is that of ``blockseg run`` on a part of the same
image, by voxels. dask-image is given a region that it can do in the time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from benchmarks.infer.infer_machine import machine
from benchmarks.objects.label_brains import finished_run, image

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.geometry import Zyx

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One command."""

    voxels: int
    """Voxels of the volume."""

    seconds: float
    """Wall time."""

    cpu_seconds: float
    """CPU time of all processes, to the last sample before each ended: what counts where
    others use the machine."""

    driver_peak: int
    """Most resident bytes of the process that was started."""

    worker_peak: int
    """Most resident bytes of any process below it."""

    objects: int = 0
    """Objects found."""

    load: float = 0.0
    """Mean load of the machine over the last minute, when it ended."""


def command(words: list[str], voxels: int, limit: float | None = None) -> Row | None:
    """Run a command and watch it; None where it took longer than the limit."""
    # Not a pipe, which fills up where nobody reads.
    with tempfile.TemporaryFile(mode="w+") as printed:
        process = subprocess.Popen(words, stdout=printed, text=True)
        return _watched(process, printed, voxels, limit, words)


def _watched(
    process: subprocess.Popen[str],
    printed: IO[str],
    voxels: int,
    limit: float | None,
    words: list[str],
) -> Row | None:
    begun = time.perf_counter()
    watched = psutil.Process(process.pid)
    driver = worker = 0
    cpu: dict[int, float] = {}
    while process.poll() is None:
        try:
            driver = max(driver, watched.memory_info().rss)
            for one in (watched, *watched.children(recursive=True)):
                worker = max(worker, one.memory_info().rss if one != watched else 0)
                times = one.cpu_times()
                cpu[one.pid] = times.user + times.system
        except psutil.NoSuchProcess:
            pass
        if limit and time.perf_counter() - begun > limit:
            for child in watched.children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
            return None
        time.sleep(0.05)
    seconds = time.perf_counter() - begun
    assert process.returncode == 0, words
    printed.seek(0)
    said = printed.read()
    found = json.loads(said.splitlines()[-1]) if said.strip().endswith("}") else {}
    return Row(
        voxels,
        found.get("seconds", seconds) if "worker_peak_bytes" in found else seconds,
        sum(cpu.values()),
        driver,
        worker,
        found.get("objects", 0),
        os.getloadavg()[0],
    )


def ours(out: Path, voxels: int, *options: str) -> Row:
    words = [sys.executable, "-m", "blockseg_cli", "label", str(out), "--overwrite"]
    workers = ("--workers", str(WORKERS), "--json")
    row = command([*words, *workers, *options], voxels)
    assert row is not None
    return row


def rival(name: str, out: Path, voxels: int, limit: float, *options: str) -> Row | None:
    target = out.parent / f"{name}.zarr"
    module = "benchmarks.objects.label_rivals"
    words = [sys.executable, "-m", module, name, str(out), str(target), *options]
    row = command([*words, "--workers", str(WORKERS)], voxels, limit)
    for path in out.parent.glob(f"{name}.zarr*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return row


def inference(folder: Path, shape: Zyx) -> Row:
    source = image(folder, shape, 0.05, 128)
    out = folder / "inference.zarr"
    words = [sys.executable, "-m", "blockseg_cli", "run", str(source), str(out), "-q"]
    options = ("--precision", "float32", "--workers", str(WORKERS), "--overwrite")
    row = command([*words, *options], shape[0] * shape[1] * shape[2])
    assert row is not None
    shutil.rmtree(out)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-objects"))
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--quick", action="store_true", help="tiny, to see that it runs"
    )
    parser.add_argument(
        "--limit", type=float, default=900.0, help="seconds a rival gets"
    )
    parser.add_argument(
        "--threads", type=int, help="ignored; for the test of benchmarks"
    )
    parser.add_argument("--rows", nargs="*", help="some of them; the others are kept")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    shape: Zyx = (128, 128, 192) if given.quick else (512, 1024, 1024)
    part: Zyx = (64, 64, 128) if given.quick else (128, 512, 512)
    block = 64 if given.quick else 128
    tiny: Zyx = (64, 64, 64)

    def voxels(of: Zyx) -> int:
        return of[0] * of[1] * of[2]

    def whole(of: Zyx = shape, edge: int = block) -> Path:
        return finished_run(given.folder, of, block=edge)

    makers: dict[str, Callable[[], Row | None]] = {
        "label": lambda: ours(whole(), voxels(shape)),
        "label-no-image": lambda: ours(whole(), voxels(shape), "--no-image"),
        "faces": lambda: rival("faces", whole(), voxels(shape), given.limit),
        "faces-all": lambda: rival(
            "faces", whole(), voxels(shape), given.limit, "--all"
        ),
        "inference": lambda: inference(given.folder, part),
        "label-part": lambda: ours(whole(part), voxels(part)),
        "faces-part": lambda: rival("faces", whole(part), voxels(part), given.limit),
        "faces-all-part": lambda: rival(
            "faces", whole(part), voxels(part), given.limit, "--all"
        ),
        "dask-image-part": lambda: rival(
            "dask-image", whole(part), voxels(part), given.limit
        ),
        "dask-image-all-part": lambda: rival(
            "dask-image", whole(part), voxels(part), given.limit, "--all"
        ),
        # What a worker and a driver cost before the first block.
        "start": lambda: ours(whole(tiny, tiny[0]), voxels(tiny)),
        # The same voxels in eight times as many blocks.
        "label-many-blocks": lambda: ours(whole(edge=block // 2), voxels(shape)),
    }
    found: dict[str, Any] = {"rows": {}}
    if given.json and given.json.exists():
        found = json.loads(given.json.read_text())
    found |= {"machine": machine(), "shape": shape, "part": part, "workers": WORKERS}
    for name in given.rows or makers:
        row = makers[name]()
        found["rows"][name] = None if row is None else asdict(row)
        print(name, row, flush=True)
        if given.json:
            given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
