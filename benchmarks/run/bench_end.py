"""Where the seconds of a command go that are not inference, of one build or of two in turn.

    python -m benchmarks.run.bench_end SOURCE [--other PYTHON] [--rounds 3]
        [--options="--backend fake"]

SOURCE is a volume; ``bench_run`` paints some. ``--other`` is the Python of a build to
compare with. ``--backend fake`` puts an engine in the place of the network that hardly
takes time, so that what is left is all the rest. Prints medians as JSON: seconds by the
clock from the start of the command to its first block handed out (``start``), to the last
block (``blocks``), and to its end (``end``); CPU seconds of the driver, and of all that it
started; seconds of the workers' activities; the peak of memory as in ``bench_run``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.infer.infer_machine import machine
from benchmarks.run.bench_run import with_bytecode

_POLL = 0.1  # s


class Followed:
    """CPU seconds and memory of a process and of all that it starts."""

    def __init__(self, pid: int) -> None:
        self.root = psutil.Process(pid)
        self.cpu: dict[int, float] = {}
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(_POLL):
            alone, shared = 0, [0]
            with contextlib.suppress(psutil.Error):
                for process in (self.root, *self.root.children(recursive=True)):
                    memory, spent = process.memory_info(), process.cpu_times()
                    alone += memory.rss - memory.shared
                    shared.append(memory.shared)
                    self.cpu[process.pid] = spent.user + spent.system
                self.peak = max(self.peak, alone + max(shared))


def run(build: str, source: str, folder: Path, options: list[str]) -> dict[str, Any]:
    """Run one build, and return what it took."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    words = [build, "-m", "blockseg_cli", "run", source, str(out), "--json", *options]
    marks: dict[str, float] = {}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=with_bytecode(), cwd=folder
    ) as command:
        followed = Followed(command.pid)
        for line in command.stdout or ():
            event = json.loads(line).get("event")
            if event == "PhaseStarted":
                marks.setdefault("start", time.perf_counter() - began)
            elif event == "BlockDone":
                marks["blocks"] = time.perf_counter() - began
    whole = time.perf_counter() - began
    followed.end()
    if command.returncode:
        raise SystemExit(command.returncode)
    record = json.loads((out / ".blockseg" / "run.json").read_text())
    driver = followed.cpu.pop(command.pid, 0.0)
    return {
        "seconds": whole,
        "start": marks["start"],
        "blocks": marks["blocks"] - marks["start"],
        "end": whole - marks["blocks"],
        "cpu of the driver": driver,
        "cpu of the others": sum(followed.cpu.values()),
        "peak_bytes": followed.peak,
        **record["sessions"][-1]["totals"]["seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--other")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="", help="of blockseg run")
    given = parser.parse_args()
    builds = {"this": sys.executable} | ({"other": given.other} if given.other else {})
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    with tempfile.TemporaryDirectory() as place:
        for turn in range(given.rounds + 1):
            for name, build in builds.items():
                folder = Path(place, name)
                folder.mkdir(exist_ok=True)
                one = run(
                    build,
                    str(given.source.absolute()),
                    folder,
                    shlex.split(given.options),
                )
                if turn:  # the first one compiles bytecode and fills the page cache
                    found[name].append(one)
    medians = {
        name: {
            key: round(statistics.median(one[key] for one in runs), 3)
            for key in runs[0]
        }
        for name, runs in found.items()
    }
    print(
        json.dumps({"machine": machine(), "rounds": given.rounds, **medians}, indent=1)
    )


if __name__ == "__main__":
    main()
