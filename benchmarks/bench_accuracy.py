"""Score weights on a volume of which some slices are labelled.

    python benchmarks/bench_accuracy.py IMAGE.tif LABEL.tif [--weights FILE]

LABEL holds 0 where nothing is known, 1 on background, 2 on neurites and 4 where
annotators differ. Each labelled slice is scored with a tolerance of 2 voxels in the
slice, at several thresholds; 0.5 is the one that counts, the others show how well p
is calibrated. As a yardstick: the best of many intensity thresholds, chosen on the
truth itself.
"""

from __future__ import annotations

import argparse

import numpy as np
import tifffile
import torch

from blockseg.metrics.scores import Agreement, tolerant_agreement
from blockseg.model.weights import load_weights
from blockseg.model.weights_info import default_weights
from blockseg.training.evaluation import probability


def score(volume: np.ndarray, label: np.ndarray, threshold: float) -> Agreement:
    """Return the agreement over all labelled slices."""
    total = Agreement()
    for z in np.flatnonzero((label == 1).any(axis=(1, 2))):
        counts = (label[z] == 1) | (label[z] == 2)
        total += tolerant_agreement(
            volume[z] >= threshold, label[z] == 2, 2, counts=counts
        )
    return total


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("label")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network, info = load_weights(given.weights or default_weights())
    image, label = tifffile.imread(given.image), tifffile.imread(given.label)
    p = probability(network, image, info)
    print(f"{info.name}\n{'threshold':>10}{'precision':>10}{'recall':>8}{'F1':>8}")
    for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
        got = score(p, label, threshold)
        print(f"{threshold:10.1f}{got.precision:10.3f}{got.recall:8.3f}{got.f1:8.3f}")
    levels = np.percentile(image, np.linspace(50, 99.5, 40))
    best = max((score(image, label, level).f1, level) for level in levels)
    print(
        f"best intensity threshold, told the truth: F1 {best[0]:.3f} at {best[1]:.0f}"
    )


if __name__ == "__main__":
    main()
