"""Scores of a mask against the truth: counts that add up over blocks, and rates.

A thin neurite that is drawn one voxel beside its annotation is found, not missed.
With a tolerance r a predicted voxel is right if a true voxel lies within r, and a
true voxel is found if a predicted one lies within r.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.morphology.distance import near

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of voxels; the sum of two regions' counts is that of both."""

    predicted: int = 0
    """Voxels in the predicted mask."""

    right: int = 0
    """Those of them at or near a true one."""

    true: int = 0
    """Voxels in the true mask."""

    found: int = 0
    """Those of them at or near a predicted one."""

    @classmethod
    def of(cls, *masks: NDArray[np.bool_]) -> Agreement:
        """Return the counts of four masks, in the order of the fields."""
        return cls(*(int(np.count_nonzero(mask)) for mask in masks))

    def __add__(self, other: Agreement) -> Agreement:
        """Return the counts of two regions together."""
        return Agreement(
            self.predicted + other.predicted,
            self.right + other.right,
            self.true + other.true,
            self.found + other.found,
        )

    @property
    def precision(self) -> float:
        """Share of the prediction that is right; 1 if nothing is predicted."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of the truth that is found; 1 if there is none."""
        return self.found / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; the Dice coefficient at tolerance 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


def voxel_agreement(
    predicted: ArrayLike, true: ArrayLike, counts: ArrayLike | None = None
) -> Agreement:
    """Compare two masks voxel by voxel.

    Parameters
    ----------
    predicted, true
        Masks of one shape, any number of axes; nonzero is foreground.
    counts
        Where voxels count, same shape; everywhere if not given.

    Raises
    ------
    GeometryError
        If the shapes differ.
    """
    p, t, c = _masks(predicted, true, counts)
    both = p & t & c
    return Agreement.of(p & c, both, t & c, both)


def tolerant_agreement(
    predicted: ArrayLike,
    true: ArrayLike,
    tolerance: float,
    *,
    counts: ArrayLike | None = None,
    voxel_size: Sequence[float] | None = None,
) -> Agreement:
    """Compare two masks, forgiving displacements.

    Parameters
    ----------
    predicted, true
        Masks of one shape, one to three axes; nonzero is foreground.
    tolerance
        Greatest Euclidean distance at which a voxel still agrees, in voxels, or in
        the unit of ``voxel_size``.
    counts
        Where voxels count, same shape; everywhere if not given. A voxel that does
        not count may still make its neighbour right or found.
    voxel_size
        Edge lengths along the axes; 1 if not given.

    Raises
    ------
    GeometryError
        If the shapes differ.
    """
    p, t, c = _masks(predicted, true, counts)
    right = near(p & c, t, tolerance, voxel_size)
    found = near(t & c, p, tolerance, voxel_size)
    return Agreement.of(p & c, right, t & c, found)


def _masks(
    predicted: ArrayLike, true: ArrayLike, counts: ArrayLike | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    p, t = np.asarray(predicted) != 0, np.asarray(true) != 0
    c = np.ones(p.shape, dtype=bool) if counts is None else np.asarray(counts) != 0
    if not p.shape == t.shape == c.shape:
        message = (
            f"masks of different shapes cannot be compared: predicted {p.shape}, "
            f"true {t.shape}, counting {c.shape}"
        )
        raise GeometryError(message)
    return p, t, c
