"""Kill the driver at 30 % and a worker at 60 % of a run; count what is done again.

    python benchmarks/bench_resume.py                        # 512×1024×1024 voxels
    python benchmarks/bench_resume.py --shape 128,256,256    # quickly

Makes a synthetic brain, segments it undisturbed, segments it again with the kills, and
compares the stores byte by byte. Writes benchmarks/results/resume.json.
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

from blockseg.jobs.record import machine_facts

RESULTS = Path(__file__).parent / "results"


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "blockseg_cli", *map(str, words)]


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*words), stdout=subprocess.PIPE, text=True)


def follow(run: subprocess.Popen[str], until: float) -> tuple[list[int], int]:
    """Return the blocks done until a share of all is reached, and how many there are."""
    done: list[int] = []
    total = 0
    for line in run.stdout or ():
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if event["event"] == "JobStarted":
            total = event["blocks"]
            before = event["done"]
        elif event["event"] == "BlockDone" and event["phase"] == "segment":
            done.append(event["report"]["block_id"])
            if before + len(done) >= until * total:
                break
    return done, total


def kill_a_worker(run: subprocess.Popen[str]) -> None:
    children = psutil.Process(run.pid).children(recursive=True)
    workers = [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    max(workers, key=lambda child: child.memory_info().rss).kill()


def content(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file() and ".blockseg" not in path.relative_to(store).parts
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
        undisturbed = start("run", brain, whole, *options)
        follow(undisturbed, 2.0)
        assert undisturbed.wait() == 0
        seconds = time.monotonic() - began

        first = start("run", brain, killed, *options)
        before, total = follow(first, 0.3)
        first.send_signal(signal.SIGKILL)
        first.wait()

        second = start("run", brain, killed, *options)
        middle, _ = follow(second, 0.6)
        kill_a_worker(second)
        rest, _ = follow(second, 2.0)
        assert second.wait() == 0
        again = set(before) & {*middle, *rest}
        twice = len(middle) + len(rest) - len({*middle, *rest})
        result = {
            "machine": machine_facts(),
            "shape": given.shape,
            "blocks": total,
            "undisturbed_seconds": round(seconds, 1),
            "done_before_driver_was_killed": len(before),
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
