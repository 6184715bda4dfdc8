"""Thickness and brightness of neurites along their paths."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

from blockseg.synthetic.neurons.tracing import AXON
from blockseg.synthetic.neurons.walks import STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.synthetic.params import Optics, SnrBin, SynthParams

THINNEST = 0.35
"""Smallest radius of a neurite, in voxels."""


def draw_snr(bins: Sequence[SnrBin], rng: np.random.Generator) -> float:
    """Draw from a mixture of log-uniform distributions."""
    weights = np.array([weight for weight, _, _ in bins])
    _, low, high = bins[rng.choice(len(bins), p=weights / weights.sum())]
    return log_uniform(low, high, rng)


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw one number, uniform in its logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def tube_peak(
    radius: NDArray[np.float32], tangent: NDArray[np.float32], optics: Optics
) -> NDArray[np.float32]:
    """Return how bright a straight tube of brightness 1 is on its axis, 0 to 1.

    The point spread seen along the tangent ``u`` is a 2-D Gaussian of variance
    ``sqrt(det(S)·uᵀS⁻¹u)`` (geometric mean of its axes), of which a disc of radius
    ``r`` holds ``1 − exp(−r²/2σ²)``.

    Parameters
    ----------
    radius
        Of the tube, in voxels, shape (n,).
    tangent
        Unit vectors (z, y, x), shape (n, 3).
    optics
        Point spread.
    """
    variance = np.square(np.array(optics.sigma))
    across = np.sqrt(variance.prod() * (np.square(tangent) / variance).sum(axis=1))
    # Area of the raster's soft-edged disc, clip(r + 1/2 − d, 0, 1).
    area = np.where(radius >= 0.5, radius**2 + 1 / 12, (radius + 0.5) ** 3 / 3)
    return np.asarray(1 - np.exp(-area / (2 * across)), dtype=np.float32)


def profile(
    points: NDArray[np.float32],
    radius: NDArray[np.float64],
    kind: int,
    snr: float,
    params: SynthParams,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return radius and brightness along a path, with boutons on axons, and its SNR.

    Parameters
    ----------
    points
        Path, shape (n, 3), (z, y, x) in voxels, ``STEP`` apart.
    radius
        Without boutons, in voxels, shape (n,).
    kind
        Axon or dendrite.
    snr
        Of the neuron; branches differ a little from it.
    params
        Beads, fading, optics and noise.
    rng
        Its randomness.
    """
    thick, bright = _beaded(radius, kind, params, rng)
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    own = snr * math.exp(0.15 * rng.standard_normal())
    peak = float(np.median(tube_peak(thick, tangent, params.optics)))
    gain = own * params.contrast_unit / max(peak, 0.02)
    return thick, (gain * bright).astype(np.float32), own


def _beaded(
    radius: NDArray[np.float64],
    kind: int,
    params: SynthParams,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape, n = params.morphology, len(radius)
    keep = math.exp(-STEP / 25.0)
    shocks = rng.standard_normal(n) * math.sqrt(1 - keep**2)
    slow = lfilter([1.0], [1.0, -keep], shocks)
    bright = np.exp(shape.fading * slow)
    if kind == AXON and shape.bead_spacing > 0:
        count = rng.poisson(n * STEP / shape.bead_spacing)
        along = np.arange(n) * STEP
        radius = radius.copy()
        for at in rng.uniform(0, n * STEP, count):
            near = slice(max(0, int((at - 5) / STEP)), int((at + 5) / STEP) + 1)
            bump = np.exp(-0.5 * np.square((along[near] - at) / rng.uniform(0.7, 1.5)))
            strength = rng.exponential(1.0)
            bright[near] *= 1 + (shape.bead_gain - 1) * strength * bump
            radius[near] *= 1 + 0.2 * min(strength, 2.0) * bump
    bright /= np.median(bright)
    return np.maximum(radius, THINNEST).astype(np.float32), bright.astype(np.float32)
