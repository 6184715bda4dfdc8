"""Training throughput beside the same network in a plain torch loop, one process.

    python -m benchmarks.training.bench_training [--network sdasn] [--width 8] [--patch 48]
                                        [--batch 4] [--steps 20] [--threads 2]
                                        [--json FILE]

Both learn from the same patches, which are made beforehand, so that what is measured
is the loop: forward pass, loss, backward pass, optimiser, and in blockseg's the
running mean of the weights and the log. The plain loop is what one would write first:
the network as it is, its logits through BCE, AdamW, contiguous memory. The ratio of one
run is what to quote; rounds alternate, and the best of each counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from benchmarks.infer.infer_machine import machine
from blockseg.networks.registry import build
from blockseg.networks.weights_info import WeightsInfo
from blockseg.training.config import TrainingConfig
from blockseg.training.data.data import TrainingData
from blockseg.training.folder import RunFolder
from blockseg.training.learning.distributed import open_process_group
from blockseg.training.learning.loop import train
from blockseg.training.learning.losses import LossConfig, make_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results"


class Made:
    """A few patches, over and over."""

    def __init__(self, patch: int) -> None:
        rng = np.random.default_rng(1)
        images = rng.normal(size=(8, 1, patch, patch, patch)).astype(np.float32)
        self._patches = [(image, (image > 2.5).astype(np.uint8)) for image in images]

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return self._patches[number % len(self._patches)]


def plain(options: argparse.Namespace, device: torch.device) -> float:
    network = build(options.network, options.width).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    made, batch = Made(options.patch), options.batch
    started = time.perf_counter()
    for step in range(options.steps):
        pairs = [made[step * batch + n] for n in range(batch)]
        image = torch.from_numpy(np.stack([pair[0] for pair in pairs])).to(device)
        target = torch.from_numpy(np.stack([pair[1] for pair in pairs])).to(device)
        loss = functional.binary_cross_entropy_with_logits(
            network(image), target.float()
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss.item()
    return time.perf_counter() - started


def ours(options: argparse.Namespace) -> float:
    network = build(options.network, options.width)
    info = WeightsInfo(
        "bench", 1.0, width=network.width, architecture=network.architecture
    )
    config = TrainingConfig(
        steps=options.steps, batch=options.batch, threads=options.threads
    )
    data = TrainingData(Made(options.patch), (), ())
    with tempfile.TemporaryDirectory() as folder, open_process_group() as ranks:
        started = time.perf_counter()
        train(
            network,
            data,
            make_loss(LossConfig()),
            config,
            RunFolder(Path(folder), info),
            ranks=ranks,
        )
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="sdasn")
    parser.add_argument("--width", type=int)
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "training.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with open_process_group() as ranks:
        device = ranks.device
    said = machine()
    plain(argparse.Namespace(**{**vars(options), "steps": 1}), device)  # warm up
    times = [(plain(options, device), ours(options)) for _ in range(options.rounds)]
    voxels = options.steps * options.batch * options.patch**3
    slow, fast = (voxels / min(column) for column in zip(*times, strict=True))
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    given = {k: v for k, v in vars(options).items() if k != "json"}
    found = {
        "machine": said,
        "device": where,
        "given": given,
        "voxels_per_second": {"plain loop": slow, "blockseg": fast},
        "times": fast / slow,
        "rounds_seconds": times,
    }
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{said['processor']}, {where}, {options.threads} threads")
    print(f"{options.network}, {options.batch} patches of {options.patch}³ a step")
    print(f"plain loop   {slow / 1e6:.3f} Mvoxel/s")
    print(f"blockseg     {fast / 1e6:.3f} Mvoxel/s, {fast / slow:.2f} times as fast")


if __name__ == "__main__":
    main()
