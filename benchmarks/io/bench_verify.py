"""Speed of ``blockseg verify`` beside ``sha256sum``, and what checksums cost a run.

    python -m benchmarks.io.bench_verify                   # 0.3 GB of files twice, and a run
    python -m benchmarks.io.bench_verify --quick           # to see it work

Reads the files of a conversion in turn: with ``cat``, with ``sha256sum``, and as ``blockseg
verify`` compares files, each from the disk (pages dropped before) and from memory; the
median of several rounds counts. Files are shards of 8 MB that do not compress, and of 0.5 MB,
where opening counts. Then runs the network over a brain without workers, and adds up the
time of all that makes checksums: of files read back, of blocks, of what blocks read, and the
CRC32C of chunks, which is timed by writing with it and without. Writes
benchmarks/io/results/verify.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import tifffile

from blockseg.blockwise.record.record import Paths, machine_facts
from blockseg.checks.jobs import stored_jobs
from blockseg.checks.verification.files import KnownFiles, compare_files
from blockseg.config.settings import RunSettings
from blockseg.conversion import convert
from blockseg.core import reads
from blockseg.io.output import writer
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.output.written_files import stored_file
from blockseg.segmentation.run import run as segment
from blockseg.synthesis.run import synth
from blockseg.synthesis.task import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
SERIAL = RunSettings(scheduler="serial", codec="raw")


def files_of(out: Path) -> list[Path]:
    return [path for path in sorted(out.rglob("*")) if path.is_file()]


def dropped(files: list[Path]) -> None:
    """Let the system forget what it keeps of files in memory."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def with_command(*words: str) -> Callable[[list[Path]], None]:
    def read(files: list[Path]) -> None:
        names = b"\0".join(os.fsencode(path) for path in files)
        subprocess.run(
            ["xargs", "-0", *words], input=names, stdout=subprocess.DEVNULL, check=True
        )

    return read


def with_verify(out: Path) -> Callable[[list[Path]], None]:
    (job,) = stored_jobs(Paths(out))

    def read(files: list[Path]) -> None:
        del files  # which the ledger knows
        with job.open() as ledger:
            assert not list(compare_files(job, ledger, KnownFiles(), lambda _: None))

    return read


def reading_rows(
    folder: Path, edge: int, block: int, rounds: int
) -> list[dict[str, Any]]:
    """Time readers of one store, in turn."""
    noise = np.random.default_rng(0).integers(0, 2**16, (edge,) * 3, np.uint16)
    source, out = folder / "noise.tif", folder / f"noise-{block}.zarr"
    tifffile.imwrite(source, noise, photometric="minisblack")
    shape = (block,) * 3
    assert convert(str(source), str(out), replace(SERIAL, block=shape)).complete
    files = [path for path in files_of(out) if ".blockseg" not in path.parts]
    size = sum(path.stat().st_size for path in files)
    readers = {
        "cat": with_command("cat"),
        "sha256sum": with_command("sha256sum"),
        "blockseg verify": with_verify(out),
    }
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, read in readers.items():
            dropped(files)
            for state in ("disk", "memory"):
                began = time.perf_counter()
                read(files)
                spent = time.perf_counter() - began
                times.setdefault((name, state), []).append(spent)
    rows = [
        {
            "reader": name,
            "from": state,
            "files": len(files),
            "MB": round(size / 1e6),
            "MB_per_second": round(size / statistics.median(spent) / 1e6),
        }
        for (name, state), spent in times.items()
    ]
    shutil.rmtree(out)
    return rows


class Spent:
    """Adds up the time of functions that are replaced by timed ones."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - began
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        return call


def run_row(folder: Path, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Time a run of the network, and what of it is checksums."""
    brain, out = folder / "brain.zarr", folder / "brain.blockseg.zarr"
    settings = RunSettings(scheduler="serial")
    synth(str(brain), Recipe(shape, "clean", 0), settings)
    spent = Spent()
    with (
        mock.patch(
            "blockseg.io.output.writer.stored_file",
            spent.timed("files read back", stored_file),
        ),
        mock.patch.object(writer, "_written", spent.timed("blocks", writer._written)),
        mock.patch.object(reads, "read_sum", spent.timed("reads", reads.read_sum)),
    ):
        result = segment(str(brain), str(out), replace(settings, block=(64, 128, 128)))
    assert result.complete
    chunks = _chunk_seconds(folder, out)
    spent.seconds["CRC32C of chunks"] = chunks
    total = sum(spent.seconds.values())
    return {
        "voxels": int(np.prod(shape)),
        "seconds": round(result.seconds, 2),
        "checksums": {name: round(value, 4) for name, value in spent.seconds.items()},
        "share_per_cent": round(100 * total / result.seconds, 3),
    }


def _chunk_seconds(folder: Path, out: Path, rounds: int = 7) -> float:
    """Return what the CRC32C of chunks adds to writing the probability and the mask."""
    from blockseg.io.find import find
    from blockseg.io.open import open_volume

    volume = open_volume(find(str(out), mask=True))
    data = [volume, open_volume(find(str(out / "labels/foreground"), mask=True))]
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for checked, times in seconds.items():
            target = folder / "again.zarr"
            spec = PyramidSpec(
                str(target), volume.shape, (64, 128, 128), checked=checked
            )
            create_output(spec)
            writing = PyramidWriter(spec)
            began = time.perf_counter()
            for image in data:
                for block in spec.grid:
                    writing.write_block(block.write_roi, image.read(block.write_roi))
            times.append(time.perf_counter() - began)
            shutil.rmtree(target)
    return max(0.0, min(seconds[True]) - min(seconds[False]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", help="where to write; a temporary one if not given")
    asked = parser.parse_args()
    edge, rounds = (128, 1) if asked.quick else (512, 5)
    shape = (64, 128, 128) if asked.quick else (128, 256, 256)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        rows = []
        for block in (160, 64):
            for row in reading_rows(folder, edge, block, rounds):
                print(*(f"{key} {value}" for key, value in row.items()), sep=", ")
                rows.append(row)
        found = {"machine": machine_facts(), "reading": rows}
        found["run"] = run_row(folder, shape)
    print(json.dumps(found["run"], indent=2))
    if not asked.quick:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(found, indent=2) + "\n"
        (RESULTS / "verify.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
