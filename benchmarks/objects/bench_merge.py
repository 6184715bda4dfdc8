"""Memory and time in which the driver of ``blockseg label`` merges pieces to components.

    python -m benchmarks.objects.bench_merge [--pieces 4000000] [--json FILE]

Blocks in a row, each with a thousand pieces, every tenth of which goes on into the next
block. What is counted is the anonymous memory of this process, which nothing can push out
to disk; pages of mapped files are not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.infer.infer_machine import machine
from blockseg.core.grid import BlockGrid
from blockseg.io.output.provenance import Provenance
from blockseg.labelling.assigned import open_objects
from blockseg.labelling.components import Merging
from blockseg.labelling.pieces import PIECE
from blockseg.labelling.scratch import Scratch, seam_to_bytes
from blockseg.labelling.seams import Faces, Seam

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_A_BLOCK = 1000
THROUGH = 10  # every so many go on


class Kept:
    """Payloads of blocks, made when they are asked for."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks

    def payloads(self, phase: str) -> Iterator[tuple[int, bytes]]:
        if phase == "pieces":
            for block in range(self.blocks):
                yield block, IN_A_BLOCK.to_bytes(8, "little")
            return
        label = np.arange(1, IN_A_BLOCK + 1, THROUGH, dtype=np.int32)
        # The block itself, and the one before it along x, as seams.BEFORE counts.
        here, before = np.full(len(label), 7), np.full(len(label), 6)
        pairs = np.stack([before, label, here, label], axis=1).astype(np.int32)
        kept = seam_to_bytes(Seam(pairs, np.zeros((0, 2), np.int32), np.zeros(0, int)))
        for block in range(1, self.blocks):
            yield block, kept


def anonymous() -> int:
    """Return the bytes of this process that are not pages of files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=4_000_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    blocks = given.pieces // IN_A_BLOCK
    empty = tuple(np.zeros(0, np.uint32) for _ in range(6))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Scratch(f"{folder}/pieces")
        rows = np.zeros(IN_A_BLOCK, PIECE)
        rows["voxels"] = 1
        for block in range(blocks):
            rows["first"] = block * 10**6 + np.arange(IN_A_BLOCK)
            path = Path(folder, "pieces", str(block // 4096), f"{block}.pieces")
            path.parent.mkdir(parents=True, exist_ok=True)
            if block == 0:
                scratch.write(0, rows, Faces((1, 1, 1), empty, empty))
                head = path.read_bytes()[: -rows.nbytes]
            path.write_bytes(head + rows.tobytes())  # without a wait for the disk
        grid = BlockGrid((1, 1, blocks), (1, 1, 1))
        before, peak, done = anonymous(), [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.01):
                peak[0] = max(peak[0], anonymous())

        watcher = threading.Thread(target=watch)
        watcher.start()
        begun, used = time.perf_counter(), time.process_time()
        merging = Merging(grid, scratch, Path(folder, "merged"), 0)
        merging.run(Kept(blocks), Provenance("run", "content", 128))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - used
        done.set()
        watcher.join()
        objects = len(open_objects(Path(folder, "merged")))
    pieces = blocks * IN_A_BLOCK
    found = {
        "machine": machine(),
        "pieces": pieces,
        "objects": objects,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "bytes": peak[0] - before,
        "bytes_a_piece": (peak[0] - before) / pieces,
    }
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
