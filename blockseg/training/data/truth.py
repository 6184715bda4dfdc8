"""Truth that training shall learn of a synthetic brain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation, generate_binary_structure

from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import RING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi
    from blockseg.synthetic.brain import SyntheticBrain

INVISIBLE_SNR = 1.4
"""Neurites fainter than this are neither foreground nor background."""


def truth(brain: SyntheticBrain, roi: Roi) -> NDArray[np.uint8]:
    """Return the training target of a region, shape (z, y, x).

    Somata are background, as the network shall not paint them; around them, where
    dendrites leave, nothing counts.
    """
    branch, soma = brain.branches(roi), brain.somata(roi) > 0
    snr = np.concatenate([np.zeros(1, np.float32), brain.tracing.branches.snr])[branch]
    mask = branch > 0
    ball = generate_binary_structure(3, 1)
    target = mask.astype(np.uint8)
    target[binary_dilation(mask, ball) & ~mask] = RING
    if soma.any():
        target[binary_dilation(soma, ball, iterations=2) & ~soma] = IGNORE
    target[mask & (snr < INVISIBLE_SNR)] = IGNORE
    return target
