"""Dimness of the path across a gap, by the probability of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Space
    from blockseg.io.protocol import Volume

_STEP = 0.5  # voxels


@dataclass(frozen=True, slots=True)
class Dimness:
    """Mean of -ln p along a straight path, relative to that of an empty one."""

    probability: Volume
    """Bytes; 255 is certain."""

    space: Space
    """Place of its voxels, in µm."""

    def __call__(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        """Return a number from 0 (certain all along) to 1 (nothing there).

        Parameters
        ----------
        a, b
            Places, (z, y, x), in µm.
        """
        size, corner = np.array(self.space.voxel_size), np.array(self.space.translation)
        ends = (np.stack([a, b]) - corner) / size
        count = max(math.ceil(np.abs(ends[1] - ends[0]).max() / _STEP), 1)
        share = ((np.arange(count) + 0.5) / count)[:, None]
        place = np.floor(ends[0] * (1 - share) + ends[1] * share + 0.5).astype(int)
        place = np.clip(place, 0, np.array(self.probability.shape) - 1)
        box = Roi(to_zyx(place.min(axis=0)), to_zyx(place.max(axis=0) + 1))
        found = np.asarray(self.probability.read(box))
        there = found[tuple((place - place.min(axis=0)).T)]
        return float(-np.log(np.maximum(there, 1) / 255).mean() / math.log(255))
