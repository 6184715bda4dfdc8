"""Voxels a second that training learns from in each precision, beside an earlier build.

    python -m benchmarks.training.bench_precision [--network sdasn] [--earlier TREE]
                                        [--steps 10] [--rounds 3] [--json FILE]

TREE is a checkout of another commit with an environment in TREE/.venv; it learns in
float32. Every row is a process of its own that learns from patches made beforehand: the
loop with forward pass, loss, backward pass, optimiser, running mean and log, without
checkpoints. The processes take turns step by step, so that a machine that others use
slows all of them alike. Of a row counts the median over the rounds of the median over a
round's steps, as do the ratios of the same run. With ONEDNN_MAX_CPU_ISA in the
environment (AVX512_CORE_BF16, AVX512_CORE, AVX2) it is measured what a CPU without AMX
would do; such rows are kept beside the others.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from blockseg.networks.registry import build
from blockseg.networks.weights_info import WeightsInfo
from blockseg.training.config import TrainingConfig
from blockseg.training.data.data import TrainingData
from blockseg.training.events import Progress
from blockseg.training.folder import RunFolder
from blockseg.training.learning.distributed import open_process_group
from blockseg.training.learning.loop import train
from blockseg.training.learning.losses import LossConfig, make_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results"
WARM = 3  # steps that are not counted: kernels are made, memory is fetched
EARLIER = "earlier float32"


class Made:
    """A few patches, over and over."""

    def __init__(self, patch: int) -> None:
        rng = np.random.default_rng(1)
        images = rng.normal(size=(8, 1, patch, patch, patch)).astype(np.float32)
        self._patches = [(image, (image > 2.5).astype(np.uint8)) for image in images]

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return self._patches[number % len(self._patches)]


def learn(given: argparse.Namespace, precision: str) -> None:
    """Learn in this process: one step for each line that is read, and its time."""
    torch.manual_seed(0)
    network = build(given.network, None)
    info = WeightsInfo(
        "bench", 1.0, width=network.width, architecture=network.architecture
    )
    config = TrainingConfig(
        steps=10**6,
        batch=given.batch,
        threads=given.threads,
        log_every=1,
        checkpoint_every=10**9,
        validate_every=10**9,
        precision=precision,  # type: ignore[arg-type]
    )
    began = time.perf_counter()

    def note(event: object) -> None:
        nonlocal began
        if isinstance(event, Progress):
            print(time.perf_counter() - began, flush=True)
            if not sys.stdin.readline():
                raise KeyboardInterrupt
            began = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder, open_process_group("cpu") as ranks:
        train(
            network,
            TrainingData(Made(given.patch), (), ()),
            make_loss(LossConfig()),
            config,
            RunFolder(Path(folder), info),
            ranks=ranks,
            on_event=note,
        )


class Row:
    """A process that learns by one build of blockseg, a step when it is told to."""

    def __init__(
        self, given: argparse.Namespace, precision: str, tree: Path | None
    ) -> None:
        words = [f"--{name}={getattr(given, name)}" for name in OPTIONS]
        python = sys.executable if tree is None else f"{tree}/.venv/bin/python"
        self._process = subprocess.Popen(
            [python, str(Path(__file__).resolve()), *words, "--one", precision],
            cwd=Path(__file__).parents[2] if tree is None else tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._line()  # of the first step

    def step(self) -> float:
        """Return how long the next step takes."""
        self._process.stdin.write("\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return float(self._line())

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()

    def _line(self) -> str:
        line: str = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            message = f"a row ended with code {self._process.wait()}"
            raise SystemExit(message)
        return line


OPTIONS = ("network", "patch", "batch", "steps", "threads")


def main() -> None:
    """Print voxels a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="sdasn")
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--earlier", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=RESULTS / "precision.json")
    given = parser.parse_args()
    if given.one:
        with suppress(KeyboardInterrupt):
            learn(given, given.one)
        return
    from benchmarks.infer.infer_machine import machine

    rows: dict[str, tuple[str, Path | None]] = {
        "float32": ("float32", None),
        "bfloat16": ("bfloat16", None),
    }
    if given.earlier:
        rows = {EARLIER: ("float32", given.earlier.resolve()), **rows}
    said, voxels = machine(), given.batch * given.patch**3
    learners = {name: Row(given, *how) for name, how in rows.items()}
    rounds: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(given.rounds + 1):
        steps: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(given.steps if number else WARM):
            for name, row in learners.items():
                steps[name].append(row.step())
        for name, taken in steps.items():
            if number:
                rounds[name].append(voxels / statistics.median(taken))
    for row in learners.values():
        row.close()
    medians = {name: statistics.median(found) for name, found in rounds.items()}
    first = next(iter(medians))
    found: dict[str, Any] = {
        "given": {name: getattr(given, name) for name in OPTIONS},
        "voxels_per_second": medians,
        f"times {first}": {name: v / medians[first] for name, v in medians.items()},
        "rounds": rounds,
        "machine": said,
    }
    held = json.loads(given.json.read_text()) if given.json.exists() else {}
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    held[given.network + (f", {limit}" if limit else "")] = found
    given.json.parent.mkdir(exist_ok=True)
    given.json.write_text(json.dumps(held, indent=1) + "\n")
    print(f"{said['processor']}, {given.threads} threads, {given.network}")
    for name, value in medians.items():
        print(
            f"{name:16} {value / 1e6:.3f} Mvoxel/s, {value / medians[first]:.2f} times"
        )


if __name__ == "__main__":
    main()
