"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from blockseg.training.dataset import IGNORE, RING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RING_WEIGHT", "bce_dice"]

RING_WEIGHT = 0.3
"""Weight of the background voxels that touch a neurite."""

_SMOOTH = 100.0  # voxels: keeps the Dice term of an empty batch calm


def bce_dice(logits: Tensor, target: Tensor, bce_weight: float = 10.0) -> Tensor:
    """Return weighted BCE plus soft Dice.

    The BCE treats both classes alike, so that p = 0.5 is where a voxel is as likely
    neurite as not, and empty space goes to p near 0. The Dice term keeps thin
    neurites from being outvoted by their surroundings.

    Parameters
    ----------
    logits
        ``(batch, 1, z, y, x)``.
    target
        0, 1, ``RING`` or ``IGNORE``, of the same shape.
    bce_weight
        Of the BCE against the Dice.
    """
    truth = (target == 1).to(logits.dtype)
    weight = torch.ones_like(logits)
    weight[target == RING] = RING_WEIGHT
    weight[target == IGNORE] = 0.0
    bce = functional.binary_cross_entropy_with_logits(logits, truth, weight)
    p = torch.sigmoid(logits) * weight
    both = (p * truth).sum()
    dice = 1 - (2 * both + _SMOOTH) / (p.sum() + (truth * weight).sum() + _SMOOTH)
    return bce_weight * bce + dice
