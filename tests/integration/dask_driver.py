# ruff: noqa: T201 - a test reads what it prints
"""A driver in a process of its own, for tests that kill it.

``python dask_driver.py FOLDER BLOCKS SECONDS [SCHEDULER]`` runs blocks that take some
seconds each, on two workers of its own or on somebody else's scheduler. Each block
leaves a line in FOLDER/begun-PID and, at its end, one in FOLDER/ended-PID. While
there is FOLDER/hold, blocks from the number in it on do not end.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cloudpickle  # type: ignore[import-untyped]

from blockseg.core.blocks import BlockQueue, BlockReport, Meter
from blockseg.runtime.dask.cluster import connect, local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.dask.settle import settle_predecessor
from blockseg.runtime.driver import drive
from blockseg.runtime.events import BlockDone, Event, Message, PhaseDone
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Layout
from blockseg.runtime.pace import Pace


@dataclass
class Actor:
    folder: Path
    seconds: float

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        self.note("begun", block_id)
        with meter("infer"):
            time.sleep(self.seconds)
            while self.is_held(block_id):
                time.sleep(0.02)
        self.note("ended", block_id)
        return BlockReport(block_id, written=1)

    def is_held(self, block_id: int) -> bool:
        try:
            return block_id >= int((self.folder / "hold").read_text())
        except FileNotFoundError:
            return False

    def note(self, kind: str, block_id: int) -> None:
        with (self.folder / f"{kind}-{os.getpid()}").open("a") as file:
            file.write(f"{block_id}\n")

    def close(self) -> None:
        (self.folder / f"closed-{os.getpid()}").touch()


def tell(event: Event) -> None:
    if isinstance(event, BlockDone):
        print("done", event.report.block_id, flush=True)
    if isinstance(event, Message):
        print("message", event.text, flush=True)
    if isinstance(event, PhaseDone):
        print("phase", event.done, event.left, flush=True)


def main() -> None:
    folder, blocks, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    scheduler = sys.argv[4] if len(sys.argv) > 4 else ""
    factory = partial(cloudpickle.loads, cloudpickle.dumps(Actor(folder, seconds)))
    with (
        connect(scheduler) if scheduler else local_cluster(Layout(2, 1, 1, 2**30))
    ) as cluster:
        print("cluster", cluster.dashboard, flush=True)
        if scheduler:
            settle_predecessor(cluster, "output", tell)
        with Ledger.create(folder / "ledger.sqlite", "print") as ledger:
            queue = BlockQueue(ledger.pending("segment", range(blocks)))
            executor = DaskExecutor(cluster, "output", pace=Pace(largest=1))
            drive(executor, queue, ledger, "segment", factory, tell)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
