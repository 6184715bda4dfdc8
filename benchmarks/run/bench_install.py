"""Time and bytes of an installation from a clone, of several checkouts in turn.

    python -m benchmarks.run.bench_install [--rounds 3] NAME=FOLDER=EXTRAS[=OPTION] ...

For each, a fresh virtual environment, ``pip install -c constraints.txt -e '.[EXTRAS]'``
without pip's cache: seconds, size of all archives that pip fetched, and of the
environment. NAME is free; FOLDER a checkout; OPTION one more of pip's, as
``--no-compile``, with which Python compiles what it imports, when it does. Prints medians
as JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.infer.infer_machine import machine

# What pip fetches over the network, and what an index in a folder has.
_DOWNLOADED = re.compile(r"Downloading \S+\.(?:whl|tar\.gz) \(([\d.]+) ([kMG]?)B\)")
_LINKED = re.compile(r"Processing (/\S+\.(?:whl|tar\.gz))")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="+", metavar="NAME=FOLDER=EXTRAS[=OPTION]")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    facts = machine()
    ways = [tuple(way.split("=", 3)) for way in asked.ways]
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name, *_ in ways}
    for _ in range(asked.rounds):
        for name, folder, extras, *options in ways:
            found[name].append(installed(Path(folder).resolve(), extras, options))
            print(name, found[name][-1], file=sys.stderr, flush=True)
    medians = {
        name: dict(
            zip(
                ("seconds", "downloaded_mb", "installed_mb"),
                (
                    round(statistics.median(column), 1)
                    for column in zip(*rows, strict=True)
                ),
                strict=True,
            )
        )
        for name, rows in found.items()
    }
    print(json.dumps({"machine": facts, "rounds": asked.rounds, "medians": medians}))


def installed(
    checkout: Path, extras: str, options: list[str]
) -> tuple[float, float, float]:
    """Install a checkout; seconds, MB downloaded, MB of the environment."""
    folder = Path(tempfile.mkdtemp())
    try:
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        words = ["--no-cache-dir", "--progress-bar", "off", "-c", "constraints.txt"]
        done = subprocess.run(
            [
                folder / "venv/bin/python",
                "-m",
                "pip",
                "install",
                *words,
                *options,
                "-e",
                f".[{extras}]",
            ],
            cwd=checkout,
            check=True,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - begun
        sizes = _DOWNLOADED.findall(done.stdout)
        downloaded = sum(float(size) * _UNITS[unit] for size, unit in sizes)
        linked = {Path(path) for path in _LINKED.findall(done.stdout)}
        downloaded += sum(path.stat().st_size for path in linked)
        on_disk = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    finally:
        shutil.rmtree(folder)
    return seconds, downloaded / 1e6, on_disk / 1e6


if __name__ == "__main__":
    main()
