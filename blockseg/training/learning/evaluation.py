"""Scores of weights on synthetic brains that training never saw, by SNR.

``python -m blockseg.training.learning.evaluation [WEIGHTS]`` prints one table.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.ndimage import label as label_components

from blockseg.core.geometry import Roi
from blockseg.core.specs import ROBUST
from blockseg.inference.reference import reference_inference
from blockseg.morphology.scores import Agreement, tolerant_agreement
from blockseg.networks.weights import load_weights
from blockseg.networks.weights_info import WeightsInfo, default_weights
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.params import Morphology, SynthParams
from blockseg.synthetic.presets import PRESETS, preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.networks.base import Network

__all__ = ["SNR_BINS", "BrainScore", "main", "probability", "score_brain"]

SNR_BINS = ((1.0, 2.0), (2.0, 4.0), (4.0, 100.0))
"""Neurites are found or not by these ranges of their SNR."""

HELD_OUT_SEED = 10_000
"""Below every seed that training uses."""

TOLERANCE = 2.0
"""Voxels by which a prediction may lie beside the truth."""

SMALLEST_COMPONENT = 32
"""Voxels of the smallest false component that counts, as the published filter."""


@dataclass(frozen=True, slots=True)
class BrainScore:
    """Score of one or several brains; scores add up."""

    agreement: Agreement
    """Predicted voxels within the tolerance of a neurite; centreline points found."""

    by_snr: tuple[Agreement, ...]
    """Centreline points found, for each of ``SNR_BINS``."""

    voxels: int
    """Voxels of the brains."""

    stored: int
    """Voxels whose probability would be stored as a byte above 0."""

    components: int
    """False components of at least ``SMALLEST_COMPONENT`` voxels."""

    def __add__(self, other: BrainScore) -> BrainScore:
        """Return the score of both."""
        return BrainScore(
            self.agreement + other.agreement,
            tuple(a + b for a, b in zip(self.by_snr, other.by_snr, strict=True)),
            self.voxels + other.voxels,
            self.stored + other.stored,
            self.components + other.components,
        )


def probability(
    network: Network, image: NDArray[np.generic], info: WeightsInfo
) -> NDArray[np.float32]:
    """Return the probability of each voxel, normalised robustly, in one pass.

    Parameters
    ----------
    network
        In evaluation mode.
    image
        Raw grey levels, shape (z, y, x); padded to the network's alignment with background.
    info
        Header of the weights: gain and clip.
    """
    background = estimate_background(image, image.dtype)
    by = affine(ROBUST, background, info.gain, info.clip)
    return reference_inference(image, network, by, "float32")


def score_brain(
    network: Network, info: WeightsInfo, brain: SyntheticBrain, threshold: float = 0.5
) -> BrainScore:
    """Segment a small brain in one pass and compare it with its truth.

    Parameters
    ----------
    network, info
        Weights.
    brain
        At most some 20 million voxels.
    threshold
        From which probability on a voxel is a neurite.
    """
    whole = Roi.whole(brain.shape)
    p = probability(network, brain.image(whole), info)
    predicted, true = p >= threshold, brain.mask(whole) > 0
    voxels = tolerant_agreement(predicted, true, TOLERANCE)
    points, branches = brain.tracing.points, brain.tracing.branches
    place = np.floor(points.position + 0.5).astype(int)
    visible = np.all((place >= 0) & (place < np.array(brain.shape)), axis=1)
    visible &= branches.neuron[points.branch] > 0
    z, y, x = place[visible].T
    # Where tissue ends or a soma lies, a centreline has no mask.
    drawn = true[z, y, x]
    z, y, x = z[drawn], y[drawn], x[drawn]
    if predicted.any():
        found = (distance_transform_edt(~predicted) <= TOLERANCE)[z, y, x]
    else:
        found = np.zeros(len(z), dtype=bool)
    snr = branches.snr[points.branch[visible][drawn]]
    bins = tuple(
        Agreement(true=int(inside.sum()), found=int(found[inside].sum()))
        for inside in ((snr >= low) & (snr < high) for low, high in SNR_BINS)
    )
    seen = snr >= SNR_BINS[0][0]
    return BrainScore(
        Agreement(
            voxels.predicted, voxels.right, int(seen.sum()), int(found[seen].sum())
        ),
        bins,
        p.size,
        int((p >= 1 / 510).sum()),
        _false_components(predicted, true),
    )


def _false_components(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> int:
    everywhere = np.ones((3, 3, 3), dtype=bool)
    components, n = label_components(predicted, everywhere)
    size = np.bincount(components.ravel(), minlength=n + 1)
    near = np.zeros(n + 1, dtype=bool)
    near[np.unique(components[binary_dilation(true, everywhere, iterations=2)])] = True
    return int(((size >= SMALLEST_COMPONENT) & ~near)[1:].sum())


def _held_out() -> dict[str, SynthParams]:
    """Return what is scored: the presets, denser than a whole brain, and negatives."""
    sets = {}
    for name in PRESETS:
        params = preset(name)
        shape = replace(
            params.morphology,
            axon_density=900.0,
            neurons=min(0.5, 5 * params.morphology.neurons),
        )
        sets[name] = replace(params, morphology=shape)
    for name in ("fmost", "lightsheet"):
        empty = Morphology(neurons=0, axon_density=0)
        sets[f"{name}, no neurites"] = replace(preset(name), morphology=empty)
    return sets


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the scores of a weights file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="?", help="safetensors; default: the shipped")
    parser.add_argument("--brains", type=int, default=4, help="brains of each kind")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    network, info = load_weights(given.weights or default_weights())
    shape: Zyx = (96, 160, 160)
    out = sys.stdout
    names = [f"SNR {low:g}-{high:g}" for low, high in SNR_BINS]
    columns = "".join(f"{name:>12}" for name in names)
    out.write(
        f"{info.name}, threshold {given.threshold:g}, tolerance {TOLERANCE:g} voxels; "
        f"F1 in a bin: recall in it, precision over all\n"
        f"{'':24}{'precision':>10}{'recall':>8}{'F1':>8}{columns}"
        f"{'false/100³':>12}{'stored':>9}\n"
    )
    for name, params in _held_out().items():
        scores = [
            score_brain(
                network,
                info,
                SyntheticBrain(shape, params, HELD_OUT_SEED + i),
                given.threshold,
            )
            for i in range(given.brains)
        ]
        total = scores[0]
        for score in scores[1:]:
            total += score
        whole = total.agreement
        bins = "".join(
            f"{replace(whole, true=part.true, found=part.found).f1:12.3f}"
            if part.true
            else f"{'–':>12}"
            for part in total.by_snr
        )
        out.write(
            f"{name:24}{whole.precision:10.3f}{whole.recall:8.3f}{whole.f1:8.3f}{bins}"
            f"{total.components / total.voxels * 1e6:12.2f}"
            f"{total.stored / total.voxels:9.2%}\n"
        )
        out.flush()


if __name__ == "__main__":
    main()
