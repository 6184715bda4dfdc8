"""Counts of one block's scores; counts of blocks add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.centreline import cl_dice_counts, skeleton
from blockseg.morphology.distance import near
from blockseg.morphology.planes import PlaneAgreement, plane_agreement
from blockseg.morphology.scores import Agreement, tolerant_agreement, voxel_agreement
from blockseg.morphology.surface import NO_SURFACE, surface_counts
from blockseg.morphology.topology import component_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BlockScores:
    """Counts of a region; the sum of two regions' counts is that of both."""

    counted: int
    """Voxels with a known truth."""

    voxels: Agreement
    """Voxels in both masks."""

    near: Agreement
    """Voxels of each mask within the tolerance of the other."""

    centreline: Agreement
    """Voxels of each centreline within the tolerance of the other."""

    cl_dice: Agreement
    """Voxels of each centreline inside the other mask."""

    by_snr: tuple[Agreement, ...]
    """True centreline voxels by SNR; ``found`` and ``true`` only."""

    components: tuple[int, int]
    """Predicted and true components, cut at the faces of blocks."""

    component_error: int
    """Absolute difference of the two, summed over blocks."""

    blocks: int
    """Blocks with anything in either mask."""

    planes: PlaneAgreement = field(default_factory=PlaneAgreement)
    """Those of single annotated planes; nothing where the truth is known in 3-D."""

    surface: tuple[int, ...] = NO_SURFACE
    """Surface voxels of both masks by their squared distance to the other surface;
    nothing where the truth is not known in 3-D."""

    def __add__(self, other: BlockScores) -> BlockScores:
        """Return the counts of two regions together."""
        return BlockScores(
            self.counted + other.counted,
            self.voxels + other.voxels,
            self.near + other.near,
            self.centreline + other.centreline,
            self.cl_dice + other.cl_dice,
            tuple(a + b for a, b in zip(self.by_snr, other.by_snr, strict=True)),
            (
                self.components[0] + other.components[0],
                self.components[1] + other.components[1],
            ),
            self.component_error + other.component_error,
            self.blocks + other.blocks,
            self.planes + other.planes,
            tuple(a + b for a, b in zip(self.surface, other.surface, strict=True)),
        )

    def row(self) -> NDArray[np.int64]:
        """Return all counts in the order that :func:`blockseg.morphology.measures` reads."""
        within = self.planes.within
        parts = (self.voxels, self.near, self.centreline, self.cl_dice, within)
        counts = [self.counted, self.blocks, *self.components, self.component_error]
        for a in parts:
            counts += [a.predicted, a.right, a.true, a.found]
        counts += [self.planes.beside, *self.surface]
        for a in self.by_snr:
            counts += [a.true, a.found]
        return np.array(counts, np.int64)


def score_block(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    own: tuple[slice, slice, slice],
    tolerance: float,
    *,
    voxel_size: Sequence[float] = (1.0, 1.0, 1.0),
    traced: bool = False,
    snr: NDArray[np.float32] | None = None,
    snr_edges: Sequence[float] = (),
    planes: bool = False,
) -> BlockScores:
    """Compare a block's prediction with its truth.

    Parameters
    ----------
    predicted, true
        Masks of the block and its surroundings, shape (z, y, x). Exact counts
        within the tolerance need as many voxels around the block as the tolerance
        reaches; centrelines need :data:`SKELETON_HALO` more.
    counts
        Where the truth is known, same shape.
    own
        Where in these the block lies.
    tolerance
        Greatest distance at which voxels still agree, in the unit of ``voxel_size``.
    voxel_size
        Edge lengths of a voxel along (z, y, x).
    traced
        Whether ``true`` holds centrelines already, and no mask.
    snr
        Of true voxels, same shape as ``true``; NaN where not known.
    snr_edges
        Where SNR bins meet, rising: n edges make n + 1 bins.
    planes
        Whether the truth is known in single planes only; else it is known in 3-D.
    """
    inside = counts[own]
    # Nothing far from the block matters, but its own voxels may be all empty.
    if not (predicted[own] & inside).any() and not (true[own] & inside).any():
        return nothing_scored(int(np.count_nonzero(inside)), len(snr_edges))
    mine = np.zeros(predicted.shape, dtype=bool)
    mine[own] = inside
    # In slices that are labelled alone, a neurite is its cut; so must its prediction be.
    lines = skeleton(predicted & counts), true if traced else skeleton(true & counts)
    masks = predicted[own] & inside, true[own] & inside
    components = component_count(masks[0]), component_count(masks[1])
    voxels = tolerant = cl_dice = Agreement()
    if not traced:
        voxels = voxel_agreement(*masks)
        tolerant = tolerant_agreement(
            predicted, true, tolerance, counts=mine, voxel_size=voxel_size
        )
        cl_dice = cl_dice_counts(predicted, true, lines[0] & mine, lines[1] & mine)
    bins: tuple[Agreement, ...] = ()
    if snr_edges:
        line = lines[1] & mine
        found = near(line, lines[0], tolerance, voxel_size)
        bins = _by_snr(line, found, snr, snr_edges)
    return BlockScores(
        counted=int(np.count_nonzero(inside)),
        voxels=voxels,
        near=tolerant,
        centreline=tolerant_agreement(
            *lines, tolerance, counts=mine, voxel_size=voxel_size
        ),
        cl_dice=cl_dice,
        by_snr=bins,
        components=components,
        component_error=abs(components[0] - components[1]),
        blocks=1,
        planes=plane_agreement(
            predicted, true, counts, own, tolerance, voxel_size=voxel_size
        )
        if planes
        else PlaneAgreement(),
        surface=NO_SURFACE
        if traced or planes
        else surface_counts(predicted, true, counts, mine),
    )


def nothing_scored(counted: int = 0, edges: int = 0) -> BlockScores:
    """Return the counts of a region with nothing in either mask.

    Parameters
    ----------
    counted
        Voxels with a known truth.
    edges
        Number of places where SNR bins meet.
    """
    nothing = Agreement()
    bins = (nothing,) * (edges + 1 if edges else 0)
    return BlockScores(counted, nothing, nothing, nothing, nothing, bins, (0, 0), 0, 0)


def _by_snr(
    line: NDArray[np.bool_],
    found: NDArray[np.bool_],
    snr: NDArray[np.float32] | None,
    edges: Sequence[float],
) -> tuple[Agreement, ...]:
    if snr is None:
        return (Agreement(),) * (len(edges) + 1)
    there, hit = snr[line], found[line]
    known = ~np.isnan(there)
    number = np.searchsorted(np.asarray(edges), there, side="right")
    return tuple(
        Agreement(
            true=int(np.count_nonzero(known & (number == k))),
            found=int(np.count_nonzero(known & hit & (number == k))),
        )
        for k in range(len(edges) + 1)
    )
