"""Show what ten annotated blocks are worth: F1 on a new kind of brain before and after.

    python -m benchmarks.training.bench_finetune [--blocks 10] [--minutes 8] [--json FILE]

The brains are of a kind that no preset and no training brain is like: a wide point
spread, thick beaded neurites, strong texture and glare. Ten blocks of 64³ with their
truth are written as an annotator would leave them, `blockseg train --init` learns from
them alone, and another brain of that kind is scored with both weights.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from benchmarks.accuracy.accuracy_methods import weights
from benchmarks.accuracy.accuracy_scenes import Scene
from blockseg.core.geometry import Roi
from blockseg.morphology.measures import measure
from blockseg.networks.shipped import default_weights
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.params import (
    Background,
    Clutter,
    Morphology,
    Noise,
    Optics,
    SynthParams,
)
from blockseg.training.data.synth_source import truth

KIND = SynthParams(
    optics=Optics(4.2, 9.0),
    morphology=Morphology(
        neurons=0.3,
        axon_density=500.0,
        axon_radius=(1.2, 2.2),
        bead_spacing=9.0,
        bead_gain=2.5,
        snr=((1.0, 2.0, 12.0),),
    ),
    clutter=Clutter(puncta=300.0, puncta_snr=(2.0, 15.0), cells=20.0, vessels=1.0),
    background=Background(
        level=620.0,
        uneven=0.25,
        texture=30.0,
        texture_scales=((0.5, 2.2), (0.5, 6.0)),
        texture_skew=0.6,
    ),
    noise=Noise(sd=14.0, offset=110.0),
)


def annotate(folder: Path, blocks: int) -> None:
    """Write blocks of several brains with their truth."""
    for part in ("image", "label"):
        (folder / part).mkdir(parents=True)
    for number in range(blocks):
        brain = SyntheticBrain((64, 64, 64), KIND, 500 + number)
        whole = Roi.whole(brain.shape)
        label = truth(brain, whole)
        label[label > 1] = np.where(label[label > 1] == 255, 255, 0)
        tifffile.imwrite(folder / "image" / f"b{number}.tif", brain.image(whole))
        tifffile.imwrite(folder / "label" / f"b{number}.tif", label)


def score(path: str) -> dict[str, float]:
    """Return scores on brains of which no block was annotated."""
    method = weights(path)
    rows = []
    for seed in (900, 901):
        brain = SyntheticBrain((96, 160, 160), KIND, seed)
        whole = Roi.whole(brain.shape)
        true = brain.mask(whole) > 0
        scene = Scene(brain.image(whole), true, np.ones_like(true), None)
        rows += scene.rows(method.response(scene.image) >= 0.5)
    names = ("centreline_precision", "centreline_recall", "centreline_f1")
    return {
        m.name: round(m.value, 3) for m in measure(np.array(rows)) if m.name in names
    }


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    results = {"shipped": score(str(default_weights()))}
    print("shipped weights", results["shipped"], flush=True)
    with tempfile.TemporaryDirectory() as name:
        blocks, run = Path(name) / "blocks", Path(name) / "run"
        annotate(blocks, given.blocks)
        command = [sys.executable, "-m", "blockseg_cli", "train", str(blocks)]
        command += ["-o", str(run), "--init", str(default_weights())]
        command += ["--config", "train-finetune", "--time", f"{given.minutes:g}m"]
        command += ["--threads", str(given.threads), "--quiet"]
        began = time.monotonic()
        subprocess.run(command, check=True)
        took = time.monotonic() - began
        results["fine-tuned"] = score(str(run / "best.safetensors"))
    print(
        f"after {took / 60:.1f} min of {' '.join(command[2:4])}", results["fine-tuned"]
    )
    if given.json:
        machine = f"{os.cpu_count()} CPUs, {platform.machine()}"
        given.json.write_text(
            json.dumps({"machine": machine, "seconds": took, **results}, indent=1)
        )


if __name__ == "__main__":
    main()
