"""Prediction of single blocks in this process, exact like those of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from blockseg.blockwise.planning.resources import make_grid
from blockseg.blockwise.sources.masks import blocks_in_mask
from blockseg.inference.block_input import BlockInput
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.io.holes.mended_volume import MendedVolume
from blockseg.io.masks.sampler import MaskSampler
from blockseg.segmentation.engines.choice import engines_of, trial_of
from blockseg.segmentation.engines.trial import engine_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.grid import Block


class Predictor:
    """Engine of a run with all that it needs to know of a volume.

    Parameters
    ----------
    inputs
        What is read.
    decisions
        What a run would decide of it.
    """

    def __init__(self, inputs: Inputs, decisions: Decisions) -> None:
        criteria = decisions.criteria
        weights = "" if inputs.weights is None else str(inputs.weights.path)
        source, space = inputs.source.volume, inputs.source.space
        self.grid = make_grid(inputs, decisions.block)
        self._halo, self._shape, self._empty = (
            inputs.halo,
            source.shape,
            decisions.empty,
        )
        self._mended = MendedVolume(source, decisions.holes)
        self._mask = None
        if inputs.mask is not None:
            self._mask = MaskSampler(inputs.mask.volume, source.shape, space)
            blocks_in_mask(inputs.mask, space, self.grid)  # says if there is none
        self._skip_filter = None
        if criteria is not None:
            self._skip_filter = SkipFilter(criteria, source.shape, decisions.affine)
        specs, trial = engines_of(decisions, weights), trial_of(inputs, decisions)
        self._engine = engine_for(specs, trial, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def predict(self, block: Block) -> NDArray[np.uint8]:
        """Return round(255·p) of the write ROI of a block of the grid.

        Raises
        ------
        VolumeError
            If the source cannot be read.
        """
        inside = None if self._mask is None else self._mask.inside(block.write_roi)
        if inside is not None and not inside.any():
            return np.zeros(block.write_roi.shape, np.uint8)
        if self._skip_filter is not None:
            return infer_filtered(
                self._skip_filter,
                self._engine,
                self._mended,
                block.write_roi,
                self._halo,
                inside,
            ).probability
        seen = self._mended.look(block.read_roi)
        found = self._engine.segment(
            BlockInput(seen.voxels, block.read_roi, block.write_roi, self._shape)
        ).probability
        core = seen.within(block.write_roi.slices(block.read_roi.start))
        if self._empty is not None:
            found[core.voxels == self._empty] = 0
        if core.missing is not None:
            found[core.missing] = 0
        if inside is not None:
            found[~inside] = 0
        return found
