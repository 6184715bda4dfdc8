"""Kill the driver at 30 % and a worker at 60 % of a run; count what is done again.

    python -m benchmarks.run.bench_resume                        # 512×1024×1024 voxels
    python -m benchmarks.run.bench_resume --shape 128,256,256    # quickly

Makes a synthetic brain, segments it undisturbed, segments it again with the kills, and
compares the stores byte by byte. Writes benchmarks/run/results/resume.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from blockseg.blockwise.record.record import machine_facts

RESULTS = Path(__file__).parent / "results"


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "blockseg_cli", *map(str, words)]


class Watched:
    """A run and what its lines of JSON have told so far."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            command("run", *words), stdout=subprocess.PIPE, text=True
        )
        self.blocks = self.before = 0
        self.done: list[int] = []

    def follow(self, until: float | None = None) -> None:
        """Read on until a share of all blocks is done, or to the end."""
        for line in self.process.stdout or ():
            event = json.loads(line)
            if event["event"] == "JobStarted":
                self.blocks, self.before = event["blocks"], event["done"]
            elif event["event"] == "BlockDone" and event["phase"] == "segment":
                self.done.append(event["report"]["block_id"])
                reached = self.before + len(self.done)
                if until is not None and reached >= until * self.blocks:
                    return


def kill_a_worker(run: subprocess.Popen[str]) -> None:
    children = psutil.Process(run.pid).children(recursive=True)
    workers = [c for c in children if c.ppid() != run.pid]  # forked by a template
    max(workers, key=lambda child: child.memory_info().rss).kill()


def content(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file()
        and ".blockseg" not in path.relative_to(store).parts
        and path.name != "report.html"
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="512,1024,1024", help="voxels, z,y,x")
    parser.add_argument("--preset", default="fmost")
    parser.add_argument("--block", default="auto")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        brain, whole, killed = (
            here / n for n in ("b.zarr", "whole.zarr", "killed.zarr")
        )
        subprocess.run(
            command(
                "synth", brain, "--shape", given.shape, "--preset", given.preset, "-q"
            ),
            check=True,
        )
        options = ("--json", "--block", given.block)
        began = time.monotonic()
        undisturbed = Watched(brain, whole, *options)
        undisturbed.follow()
        assert undisturbed.process.wait() == 0
        seconds = time.monotonic() - began

        first = Watched(brain, killed, *options)
        first.follow(0.3)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()

        second = Watched(brain, killed, *options)
        second.follow(0.6)
        kill_a_worker(second.process)
        second.follow()
        assert second.process.wait() == 0
        again = set(first.done) & set(second.done)
        twice = len(second.done) - len(set(second.done))
        result = {
            "machine": machine_facts(),
            "shape": given.shape,
            "blocks": second.blocks,
            "undisturbed_seconds": round(seconds, 1),
            "done_before_driver_was_killed": len(first.done),
            "known_to_the_second_run": second.before,
            "finished_blocks_done_again": len(again) + twice,
            "stores_identical": content(whole) == content(killed),
            "files": len(content(whole)),
        }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2)
    (RESULTS / "resume.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
