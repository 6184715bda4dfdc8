"""The former place of :mod:`blockseg.training.losses`."""

from __future__ import annotations

from blockseg.training.losses import RING_WEIGHT, bce_dice

__all__ = ["RING_WEIGHT", "bce_dice"]
