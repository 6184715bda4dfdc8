"""Centrelines of planes that are annotated alone, in the plane and beside it."""

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
    """Voxels of each plane's centrelines within the tolerance of the other, in the plane."""

    beside: int = 0
    """True ones of them without prediction there that have one in a plane beside, within
    the tolerance in 3-D."""

    def __add__(self, other: PlaneAgreement) -> PlaneAgreement:
        """Return the counts of two regions together."""
        return PlaneAgreement(self.within + other.within, self.beside + other.beside)


def plane_agreement(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    own: tuple[slice, slice, slice],
    annotated: NDArray[np.bool_],
    tolerance: float,
    *,
    voxel_size: Sequence[float] = (1.0, 1.0, 1.0),
) -> PlaneAgreement:
    """Compare centrelines of a prediction and a truth plane by plane.

    In each plane a neurite is its cut, and the centreline that of the cut. A plane beside
    gives what it would give if it were the annotated one.

    Parameters
    ----------
    predicted, true, counts
        As for :func:`blockseg.morphology.block_scores.score_block`.
    own
        Where in these the block lies.
    annotated
        Which planes of these hold a known voxel anywhere in the volume.
    tolerance, voxel_size
        As for :func:`blockseg.morphology.distance.within`.
    """
    reach = reach_of(tolerance, voxel_size)[0]
    lines: dict[int, NDArray[np.bool_]] = {}

    def line(z: int) -> NDArray[np.bool_]:
        if z not in lines:
            mask = predicted[z] & counts[z] if annotated[z] else predicted[z]
            lines[z] = skeleton(mask[None])[0]
        return lines[z]

    total = PlaneAgreement()
    for z in range(*own[0].indices(len(true))):
        if not annotated[z]:
            continue
        mine = np.zeros((1, *true.shape[1:]), dtype=bool)
        mine[0][own[1:]] = counts[z][own[1:]]
        drawn, cut = line(z)[None], skeleton((true[z] & counts[z])[None])
        right = near(drawn & mine, cut, tolerance, voxel_size)
        found = near(cut & mine, drawn, tolerance, voxel_size)
        missed = cut & mine & ~found
        beside = 0
        if missed.any():
            low, high = max(0, z - reach), min(len(true), z + reach + 1)
            there = np.stack([line(k) for k in range(low, high)])
            at = np.zeros_like(there)
            at[z - low] = missed[0]
            beside = int(np.count_nonzero(near(at, there, tolerance, voxel_size)))
        within = Agreement.of(drawn & mine, right, cut & mine, found)
        total += PlaneAgreement(within, beside)
    return total
