"""Ranges of images that a training covers, from samples of what it learns from."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from blockseg.networks.shipped import SHIPPED
from blockseg.networks.trained import Trained
from blockseg.suitability.sampled import elongation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blockseg.core.space import Space
    from blockseg.suitability.sampled import Sampled

MARGIN = 1.5
"""Factor beyond what was seen up to which weights are trusted: augmentation misjudges the
noise by a factor of 1.1 ± 40 %, and widths are measured in steps as wide."""

_MOST = 0.9  # quantile over volumes that stands for all of them
_LEAST_WIDTH = 3.0  # voxels, which samples of thin axons reach by chance
_LEAST_SHARE, _LEAST_SOMATA, _LEAST_SATURATED = 0.25, 0.5, 0.1
_LEAST_ELONGATION, _ANY_ELONGATION = 2.0, 1000.0

SYNTHETIC = {
    "random": SHIPPED[0].trained,
    "dendrites": SHIPPED[1].trained,
    "clean": Trained(3.0, 9.0, 0.25, 0.5, 0.1, 2.0),
    "fmost": Trained(8.1, 62.4, 0.25, 0.5, 0.1, 2.0),
    "lightsheet": Trained(5.4, 16.4, 0.25, 0.5, 0.1, 2.0),
}
"""Ranges of synthetic brains by kind: those of the shipped weights, which learned from the
first two, and for presets those that ``bench_own_limits`` found."""


def covered(seen: Sequence[tuple[Sampled, Space]]) -> Trained | None:
    """Return the ranges that annotated volumes cover; None where too little stands out.

    Widths and contrasts are those of the volumes, and a margin. Shares of somata, of what is
    saturated and of what stands out at all are told from a sample by chance where there is
    one soma more or less: they count from those of the default weights on.

    Parameters
    ----------
    seen
        Findings in each volume with annotated neurites, and its voxel size.
    """
    found = [(one, space) for one, space in seen if one.structures.neurite_width]
    if not found:
        return None
    structures = [one.structures for one, _ in found]
    widths = [one.neurite_width or 0.0 for one in structures]
    # On a background of exactly 0 there is no noise, and every contrast is seen.
    heights = [one.contrast_high or np.inf for one in structures]
    dimmest = float(np.quantile(heights, 1 - _MOST, method="lower"))
    lengths = [
        max(ratio, 1 / ratio)
        for _, space in found
        if (ratio := elongation(space)) is not None
    ]
    return Trained(
        half_width=max(_LEAST_WIDTH, _high(widths) * MARGIN),
        contrast=dimmest / MARGIN if np.isfinite(dimmest) else 0.0,
        share=max(_LEAST_SHARE, _high([one.share for one in structures])),
        somata=max(_LEAST_SOMATA, _high([one.somata for one in structures])),
        saturated=max(_LEAST_SATURATED, _high([one.saturated for one, _ in found])),
        elongation=max([_LEAST_ELONGATION, *lengths]) if lengths else _ANY_ELONGATION,
    )


def _high(values: Sequence[float]) -> float:
    return float(np.quantile(values, _MOST, method="higher"))


def together(ranges: Iterable[Trained | None]) -> Trained | None:
    """Return ranges that hold all of some; None where there are none, or one is unknown."""
    known = list(ranges)
    if not known or None in known:
        return None
    values = {
        field.name: (min if field.name == "contrast" else max)(
            getattr(one, field.name) for one in known
        )
        for field in fields(Trained)
    }
    return Trained(**values)
