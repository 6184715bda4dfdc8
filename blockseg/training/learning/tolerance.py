"""Agreement within a tolerance at every threshold at once."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from blockseg.morphology.scores import Agreement

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLDS = tuple(i / 20 for i in range(1, 20))
"""Probabilities at which a training is scored."""

TOLERANCE = 2
"""Voxels by which a prediction may lie beside the truth."""


def curve(
    probability: NDArray[np.float32],
    true: NDArray[np.bool_],
    counts: NDArray[np.bool_],
) -> tuple[Agreement, ...]:
    """Return the agreement of ``probability >= t`` for each t of ``THRESHOLDS``.

    The same as :func:`~blockseg.morphology.scores.tolerant_agreement` of each mask, for
    the price of one: a true voxel is found at every threshold up to the highest
    probability within the tolerance.

    Parameters
    ----------
    probability, true, counts
        Of one shape (z, y, x): of each voxel, the truth, and where voxels count.
    """
    near = np.zeros(true.shape, dtype=bool)
    if true.any():
        near = distance_transform_edt(~true) <= TOLERANCE
    predicted = _at_least(probability[counts])
    right = _at_least(probability[counts & near])
    found = _at_least(_highest_around(probability, np.argwhere(true & counts)))
    total = int(np.count_nonzero(true & counts))
    return tuple(
        Agreement(int(p), int(r), total, int(f))
        for p, r, f in zip(predicted, right, found, strict=True)
    )


def _at_least(values: NDArray[np.float32]) -> NDArray[np.int64]:
    thresholds = np.asarray(THRESHOLDS, np.float32)
    passed = np.searchsorted(thresholds, values, side="right")
    counted = np.bincount(passed, minlength=len(thresholds) + 1)
    reached: NDArray[np.int64] = counted[::-1].cumsum()[::-1][1:]
    return reached


def _highest_around(
    probability: NDArray[np.float32], points: NDArray[np.int64]
) -> NDArray[np.float32]:
    r = TOLERANCE
    padded = np.pad(probability, r, constant_values=-1)
    highest = np.full(len(points), -1, np.float32)
    for offset in product(range(-r, r + 1), repeat=3):
        if sum(n * n for n in offset) <= r * r:
            z, y, x = (points + offset + r).T
            np.maximum(highest, padded[z, y, x], out=highest)
    return highest
