"""Neurites of planes that are annotated alone, in the plane and beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.centreline import skeleton
from blockseg.morphology.distance import near, reach_of
from blockseg.morphology.scores import Agreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PlaneAgreement:
    """Counts of voxels in annotated planes; the sum of two regions' counts is that of both."""

    within: Agreement = field(default_factory=Agreement)
    """Voxels of each mask's centreline in its plane, of these those within the tolerance
    of the other mask in that plane."""

    beside: int = 0
    """True ones that are not found in their plane, but within the tolerance in 3-D."""

    def __add__(self, other: PlaneAgreement) -> PlaneAgreement:
        """Return the counts of two regions together."""
        return PlaneAgreement(self.within + other.within, self.beside + other.beside)


def plane_agreement(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    own: tuple[slice, slice, slice],
    tolerance: float,
    *,
    voxel_size: Sequence[float] = (1.0, 1.0, 1.0),
) -> PlaneAgreement:
    """Compare a prediction with a truth plane by plane.

    In each plane a neurite is its cut, and the centreline that of the cut.

    Parameters
    ----------
    predicted, true, counts, own, tolerance, voxel_size
        As for :func:`blockseg.morphology.block_scores.score_block`.
    """
    reach = reach_of(tolerance, voxel_size)[0]
    total = PlaneAgreement()
    for z in range(*own[0].indices(len(true))):
        if not counts[z][own[1:]].any():
            continue
        mine = np.zeros((1, *true.shape[1:]), dtype=bool)
        mine[0][own[1:]] = counts[z][own[1:]]
        here = slice(z, z + 1)
        known = true[here] & counts[here]
        drawn = skeleton(predicted[here] & counts[here]) & mine
        cut = skeleton(known) & mine
        right = near(drawn, known, tolerance, voxel_size)
        found = near(cut, predicted[here], tolerance, voxel_size)
        low = max(0, z - reach)
        around = predicted[low : z + reach + 1]
        missed = np.zeros(around.shape, dtype=bool)
        missed[z - low] = (cut & ~found)[0]
        beside = near(missed, around, tolerance, voxel_size)
        within = Agreement.of(drawn, right, cut, found)
        total += PlaneAgreement(within, int(np.count_nonzero(beside)))
    return total
