"""Shift a network's last bias so that p = 0.5 is the best threshold, on brains of its own.

    python -m benchmarks.accuracy.choose_threshold WEIGHTS -o OUT [--brains 2] [--most 0.0025]
        [--give 0.002] [--kinds clean fmost lightsheet]

For each threshold the F1 of centrelines within 2 voxels is measured on synthetic brains of
each preset (``--kinds dendrites``: of few neurons with thick dendrites), and what is
painted on brains full of spots and cells without a neurite. Of the thresholds that paint at most the share --most, the highest is taken whose mean F1 lies
within --give of the best: that little F1 is less than these brains resolve, and worth less
than what is not painted beside neurites. With --take that one is taken. The brains are neither those of training nor those
of bench_accuracy.py, and no real volume is looked at. OUT is WEIGHTS with the bias of its
last layer lowered.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy.accuracy_methods import probability
from benchmarks.accuracy.accuracy_scenes import (
    CALIBRATION_SEED,
    Scene,
    cluttered_negative,
    dendrites,
    synthetic,
)
from blockseg.morphology.measures import measure
from blockseg.networks.weights import load_weights, save_weights
from blockseg.synthetic.presets import PRESETS

THRESHOLDS = tuple(round(0.3 + 0.05 * n, 2) for n in range(14))


def made(kind: str, number: int, seed: int) -> Scene:
    """Return a brain with its truth."""
    if kind == "dendrites":
        return dendrites(number, seed=seed)
    return synthetic(kind, number, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--brains", type=int, default=2)
    parser.add_argument("--most", type=float, default=0.0025)
    parser.add_argument("--give", type=float, default=0.002)
    parser.add_argument(
        "--kinds", nargs="+", choices=[*PRESETS, "dendrites"], default=PRESETS
    )
    parser.add_argument("--take", type=float, choices=THRESHOLDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network, info = load_weights(given.weights)
    seed = CALIBRATION_SEED
    scores: dict[str, list[float]] = {}
    for kind in given.kinds:
        scenes = [made(kind, n, seed) for n in range(given.brains)]
        found = [probability(network, scene.image, info) for scene in scenes]
        scores[kind] = []
        for threshold in THRESHOLDS:
            pairs = zip(scenes, found, strict=True)
            rows = np.array([row for s, p in pairs for row in s.rows(p >= threshold)])
            f1 = next(m.value for m in measure(rows) if m.name == "centreline_f1")
            scores[kind].append(f1)
    images = [cluttered_negative(n, seed=seed).image for n in range(2 * given.brains)]
    found = [probability(network, image, info) for image in images]
    painted = [float(np.mean([p >= t for p in found])) for t in THRESHOLDS]
    means = [float(np.mean(column)) for column in zip(*scores.values(), strict=True)]
    allowed = [n for n, share in enumerate(painted) if share <= given.most]
    allowed = allowed or [len(THRESHOLDS) - 1]
    least = max(means[n] for n in allowed) - given.give
    best = max(n for n in allowed if means[n] >= least)
    sys.stdout.write(
        f"{'threshold':>10}{''.join(f'{k:>12}' for k in scores)}    painted\n"
    )
    for n, threshold in enumerate(THRESHOLDS):
        cells = "".join(f"{column[n]:12.3f}" for column in scores.values())
        mark = "  <" if n == best else ""
        sys.stdout.write(f"{threshold:10.2f}{cells}{painted[n]:11.3%}{mark}\n")
    chosen = THRESHOLDS[best] if given.take is None else given.take
    last = [p for name, p in network.named_parameters() if name.endswith("bias")][-1]
    with torch.no_grad():
        last.sub_(math.log(chosen / (1 - chosen)))
    save_weights(given.output, network, info)
    if given.json:
        table = {"thresholds": THRESHOLDS, **scores, "painted": painted}
        given.json.write_text(json.dumps({**table, "chosen": chosen}, indent=1))


if __name__ == "__main__":
    main()
