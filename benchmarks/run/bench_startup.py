"""Start-up of two builds of the command, one after the other in turn.

    python -m benchmarks.run.bench_startup OTHER SOURCE

OTHER is the ``blockseg`` of the build to compare with, SOURCE a volume for ``info``. Prints
medians in seconds and the ratio of this build to OTHER as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.infer.infer_machine import machine

ROUNDS = 15
HERE = str(Path(sys.executable).with_name("blockseg"))


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def compared(other: str, words: list[str]) -> dict[str, float]:
    times: dict[str, list[float]] = {other: [], HERE: []}
    for _ in range(ROUNDS):
        for build, found in times.items():
            found.append(seconds([build, *words]))
    before, now = (statistics.median(found) for found in times.values())
    return {"other": round(before, 3), "this": round(now, 3), "ratio": now / before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other")
    parser.add_argument("source")
    given = parser.parse_args()
    commands = {"--help": ["--help"], "info": ["info", given.source]}
    found = {name: compared(given.other, words) for name, words in commands.items()}
    print(json.dumps({"machine": machine(), "rounds": ROUNDS, **found}, indent=1))


if __name__ == "__main__":
    main()
