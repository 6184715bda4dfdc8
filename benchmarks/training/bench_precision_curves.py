"""Loss curves of one training in float32 and in bfloat16, several seeds of each.

    python -m benchmarks.training.bench_precision_curves [--steps 160] [--seeds 1 2 3]
                                        [--json FILE]

Twelve synthetic brains of 64×96×96 voxels, no two of a kind, are written as an
annotator would leave them; `blockseg train` learns from some and is judged on the
others, with each seed and precision. A seed decides the first weights, the patches and
what is held out, so that the same seed in both precisions sees the same. What a
difference between the precisions is to be held against: how far float32 lies from
itself on one thread, where only the order of sums is another, and from seed to seed.
Trainings that FILE already holds are not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import blockseg
from benchmarks.infer.infer_machine import machine
from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.training.data.randomised import random_params
from blockseg.training.data.synth_source import truth

RESULTS = Path(__file__).parent / "results"
SHAPE = (64, 96, 96)
PRECISIONS = ("float32", "bfloat16")
ONE_THREAD = "float32 on one thread"
LAST = 5  # rows of the log that make up a training loss


def annotate(folder: Path, blocks: int) -> None:
    """Write brains that hold neurites with their truth."""
    for part in ("image", "label"):
        (folder / part).mkdir(parents=True)
    number = seed = 0
    while number < blocks:
        brain = SyntheticBrain(SHAPE, random_params(stream(7, seed)), seed)
        seed += 1
        whole = Roi.whole(SHAPE)
        label = truth(brain, whole)
        label[(label > 1) & (label < IGNORE)] = 0  # beside a neurite
        if np.count_nonzero(label == 1) < 1000:
            continue
        tifffile.imwrite(folder / "image" / f"b{number:02}.tif", brain.image(whole))
        tifffile.imwrite(folder / "label" / f"b{number:02}.tif", label)
        number += 1


def learn(data: Path, run: Path, given: argparse.Namespace, **how: Any) -> list[Any]:
    """Train, and return the rows of the log."""
    blockseg.train(
        str(data),
        str(run),
        steps=given.steps,
        patch=given.patch,
        workers=0,
        validation_share=0.25,
        validate_every=max(given.steps // 4, 1),
        tensorboard=False,
        device="cpu",
        **how,
    )
    with (run / "log.csv").open(encoding="utf-8") as file:
        return [
            {name: float(text) for name, text in row.items() if text and name in NAMES}
            for row in csv.DictReader(file)
        ]


NAMES = ("step", "loss", "validation_loss", "f1", "best_f1")


def ends(rows: list[Any]) -> dict[str, float]:
    """Return where a training ended."""
    losses = [row["loss"] for row in rows if "loss" in row]
    judged = [row for row in rows if "f1" in row]
    return {
        "training loss": statistics.mean(losses[-LAST:]),
        "validation loss": judged[-1]["validation_loss"],
        "F1": judged[-1]["f1"],
    }


def summary(runs: dict[str, Any]) -> dict[str, Any]:
    """Return the ends by precision, their distances, and those between seeds."""
    found: dict[str, Any] = {}
    every = {name.rsplit(" ", 1)[1] for name in runs}
    seeds = sorted(s for s in every if all(f"{p} {s}" in runs for p in PRECISIONS))
    if not seeds:
        return {}
    for what in ("training loss", "validation loss", "F1"):
        by = {p: [ends(runs[f"{p} {s}"])[what] for s in seeds] for p in PRECISIONS}
        one, other = (by[p] for p in PRECISIONS)
        pairs = [abs(a - b) for a, b in zip(one, other, strict=True)]
        found[what] = {
            **by,
            "mean": {p: statistics.mean(v) for p, v in by.items()},
            "largest distance of one seed's precisions": max(pairs),
            "range of float32 over seeds": max(one) - min(one),
            "distances of float32 on one thread": [
                abs(ends(runs[f"{ONE_THREAD} {s}"])[what] - a)
                for s, a in zip(seeds, one, strict=True)
                if f"{ONE_THREAD} {s}" in runs
            ],
        }
    return found


def main() -> None:
    """Print a table of where each training ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    every = (*PRECISIONS, ONE_THREAD)
    parser.add_argument("--rows", nargs="+", choices=every, default=every)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "precision_curves.json")
    given = parser.parse_args()
    asked = {k: v for k, v in vars(given).items() if k not in ("json", "seeds", "rows")}
    held: dict[str, Any] = {"machine": machine(), "given": asked, "runs": {}}
    if given.json.exists():
        earlier = json.loads(given.json.read_text())
        if earlier["given"] == asked:
            held["runs"] = earlier["runs"]
    runs = held["runs"]
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        annotate(data, given.blocks)
        for seed in given.seeds:
            for row in given.rows:
                key = f"{row} {seed}"
                if key not in runs:
                    began, run = time.monotonic(), Path(name) / key.replace(" ", "-")
                    how = {"precision": row.split()[0], "seed": seed}
                    how["threads"] = 1 if row == ONE_THREAD else given.threads
                    runs[key] = learn(data, run, given, **how)
                    took = time.monotonic() - began
                    print(f"{key}: {took:.0f} s, {ends(runs[key])}", flush=True)
                held["ends"] = summary(runs)
                given.json.parent.mkdir(exist_ok=True)
                given.json.write_text(json.dumps(held, indent=1) + "\n")
    for what, found in held["ends"].items():
        print(f"{what}: {found}")


if __name__ == "__main__":
    main()
