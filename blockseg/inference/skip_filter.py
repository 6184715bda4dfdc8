"""Skip filter: what need not be inferred, outside of mask and tissue, or empty."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.cubes import box_around, by_cube, cube_box, spread, voxels_of
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.reads import note_read
from blockseg.inference.block_input import BlockInput, InferenceMask
from blockseg.inference.tile_scores.averaged_image import SEEN
from blockseg.inference.tile_scores.choice import tile_score
from blockseg.io.holes.mended_volume import looked_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from blockseg.core.blocks import Meter
    from blockseg.core.cubes import SkipCriteria
    from blockseg.core.grid import BlockGrid
    from blockseg.core.specs import Affine, AffineField
    from blockseg.inference.engine import Segmenter
    from blockseg.inference.tile_scores.choice import TileScore
    from blockseg.io.holes.mended_volume import Seen
    from blockseg.io.protocol import Volume


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Parts of a block that are to be inferred."""

    roi: Roi
    """Box around it, inside the block; empty if there is nothing."""

    mask: InferenceMask
    """Voxels of the box that are inferred."""

    skipped: int
    """Voxels of the block in tiles that were taken for empty."""


@dataclass(frozen=True, slots=True, eq=False)
class FilteredBlock:
    """A block of which only a part was inferred."""

    probability: NDArray[np.uint8]
    """255 p (z, y, x), 0 where nothing was inferred."""

    seen: Seen
    """Its grey levels, and which of them are no data."""

    computed: int
    """Voxels inferred."""

    skipped: int
    """Voxels in tiles that were taken for empty."""

    read_bytes: int
    """Decoded bytes asked for."""

    note: str = ""
    """Departure from the plan in computing it; empty if there was none."""

    @property
    def raw(self) -> NDArray[Any]:
        """Its grey levels; where it has a hole, made up."""
        return self.seen.voxels


class SkipFilter:
    """Applies skip criteria to blocks of one volume.

    Parameters
    ----------
    criteria
        The run's.
    volume_shape
        Voxels along (z, y, x).
    affine
        Normalisation of the run.
    """

    def __init__(
        self, criteria: SkipCriteria, volume_shape: Zyx, affine: Affine | AffineField
    ) -> None:
        self._criteria = criteria
        self._shape = volume_shape
        self._affine = affine
        self._score: TileScore | None = None
        self._tissue = None if criteria.tissue is None else criteria.tissue.array()

    def place(self, write_roi: Roi) -> Roi:
        """Return the box to read to see which tiles of a block are empty."""
        around = 0 if self._criteria.threshold is None else SEEN
        grown = self._tiles(write_roi).grown((around,) * 3)
        return grown.intersection(Roi.whole(self._shape))

    def around(self, roi: Roi, halo: int) -> Roi:
        """Return the box to read to infer all tiles that ``roi`` touches."""
        grown = roi.aligned(self._criteria.tile).grown((halo,) * 3)
        return grown.intersection(Roi.whole(self._shape))

    def choose(
        self, raw: NDArray[Any], write_roi: Roi, inside: NDArray[np.bool_] | None
    ) -> Chosen:
        """Say which voxels of a block to infer: the same ones, however blocks lie.

        Parameters
        ----------
        raw
            Grey levels (z, y, x) of :meth:`place`.
        write_roi
            The block.
        inside
            Where it lies inside of the user's mask; None where there is no mask.
        """
        criteria = self._criteria
        tiles = cube_box(write_roi, criteria.tile)
        keep = np.ones(tiles.shape, bool)
        if self._tissue is not None:
            keep &= spread(
                self._tissue,
                Roi.whole(self._tissue.shape),
                tiles,
                criteria.edge // criteria.tile,
            )
        if inside is not None:
            keep &= by_cube(inside, write_roi, criteria.tile)
        skipped = 0
        if criteria.threshold is not None and keep.any():
            if self._score is None:  # not before there is something to look at
                self._score = tile_score(criteria.scout, self._affine, self._shape)
            found = self._score(
                raw, self.place(write_roi), self._tiles(write_roi), criteria.tile
            )
            empty = keep & (found <= criteria.threshold)
            empty_voxels = spread(empty, tiles, write_roi, criteria.tile)
            skipped = int(np.count_nonzero(empty_voxels))
            keep &= ~empty
        kept = Roi(tiles.start, tiles.start)
        if keep.any():
            kept = box_around(keep, tiles.start)
        roi = voxels_of(kept, self._shape, criteria.tile)
        roi = roi.intersection(write_roi)
        voxels = spread(keep, tiles, roi, criteria.tile)
        if inside is not None:
            voxels &= inside[roi.slices(write_roi.start)]
        return Chosen(roi, InferenceMask(voxels, criteria.tile), skipped)

    def _tiles(self, write_roi: Roi) -> Roi:
        """Return the voxels of all tiles that a block touches."""
        return voxels_of(
            cube_box(write_roi, self._criteria.tile), self._shape, self._criteria.tile
        )


def infer_filtered(
    skip_filter: SkipFilter,
    engine: Segmenter,
    volume: Volume,
    write_roi: Roi,
    halo: int,
    inside: NDArray[np.bool_] | None = None,
    meter: Meter = lambda _: nullcontext(),
    inferring: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> FilteredBlock:
    """Read a block, and infer what a skip filter leaves of it.

    Parameters
    ----------
    skip_filter, engine, volume
        Of the run.
    write_roi
        The block.
    halo
        Voxels read around what is inferred.
    inside
        Where the block lies inside of the user's mask; None where there is no mask.
    meter
        Is told how long each activity but inference takes.
    inferring
        Entered for inference: takes turns at the engine, and tells how long it takes.
    """
    place = skip_filter.place(write_roi)
    with meter("read"):
        seen = looked_at(volume, place)
        note_read(seen.voxels)
    with meter("sieve"):
        chosen = skip_filter.choose(seen.voxels, write_roi, inside)
    core, read = seen.within(write_roi.slices(place.start)), seen.voxels.nbytes
    probability = np.zeros(write_roi.shape, np.uint8)
    computed, note = 0, ""
    if chosen.roi.size:
        around = skip_filter.around(chosen.roi, halo)
        with meter("read"):
            raw = volume.read(around)
            note_read(raw)
        read += raw.nbytes
        block = BlockInput(raw, around, chosen.roi, volume.shape, chosen.mask)
        with inferring():
            segmented = engine.segment(block)
        computed, note = segmented.computed, segmented.note
        probability[chosen.roi.slices(write_roi.start)] = segmented.probability
    if core.missing is not None:
        probability[core.missing] = 0
    return FilteredBlock(probability, core, computed, chosen.skipped, read, note)


def blocks_with_tissue(criteria: SkipCriteria, grid: BlockGrid) -> NDArray[np.bool_]:
    """Return which blocks of a grid (z, y, x) hold a voxel of a cube that may be tissue."""
    if criteria.tissue is None:
        return np.ones(grid.counts, bool)
    tissue = criteria.tissue.array()
    for axis, (a, b, block) in enumerate(
        zip(grid.region.start, grid.region.stop, grid.block_shape, strict=True)
    ):
        parts = [
            tissue.take(
                range(
                    start // criteria.edge,
                    (min(start + block, b) - 1) // criteria.edge + 1,
                ),
                axis,
            ).any(axis=axis, keepdims=True)
            for start in range(a, b, block)
        ]
        tissue = np.concatenate(parts, axis=axis)
    return tissue
