"""True values of block metrics, known from the image without noise."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter

if TYPE_CHECKING:
    from blockseg.synthetic.brain import SynthBlock

_FULL = 0.00625  # share of foreground voxels at which a block counts as full
_AROUND = 3  # voxels around neurites and somata that are no background
_BRIGHT = 4.0  # noise SDs over the background from which a voxel is none of it


@dataclass(frozen=True, slots=True)
class BlockTruth:
    """The truth of one block by the definitions of DHPR.

    Background are voxels of tissue more than 3 voxels away from neurites and somata of
    the block whose grey level without noise is at most 4 SDs above the mean of them
    all, where the SD is the brain's own (of noise and texture).
    """

    foreground: int
    """Voxels of neurites."""

    density: float
    """Signal density: foreground over 0.625 % of the block's voxels, at most 1."""

    background: float
    """Mean of the background without noise, in grey levels; NaN if there is none."""

    background_sd: float
    """SD that the background has with its noise, unevenness and texture included, in
    grey levels: what an estimate from the image converges to."""

    noise_sd: float
    """SD of the voxel noise alone in the background, in grey levels."""

    low_snr: float
    """Low-SNR ratio: share of foreground voxels less than 4 SDs (of the background, at
    most the brain's own) over the background without noise; 0 without foreground."""

    snr: float
    """Median of the stated SNR over foreground voxels; NaN without foreground."""

    neurons: int
    """Number of neurons that have voxels in the block."""

    tissue: float
    """Share of the block's voxels inside the tissue, 0 to 1."""

    @classmethod
    def columns(cls) -> str:
        """Return the head of the values' CSV."""
        return ",".join(field.name for field in fields(cls))

    def row(self) -> str:
        """Return the values as CSV; empty where there is none."""
        return ",".join("" if v != v else f"{v:.6g}" for v in astuple(self))  # noqa: PLR0124


def block_truth(block: SynthBlock, sd: float) -> BlockTruth:
    """Return what there is to estimate of a block.

    Parameters
    ----------
    block
        With its image free of noise.
    sd
        Of noise and texture in this kind of brain, in grey levels: its
        ``params.contrast_unit``.
    """
    near = maximum_filter((block.labels > 0).view(np.uint8), 2 * _AROUND + 1) > 0
    free = block.tissue & ~near
    level = spread = noise = math.nan
    if free.any():
        values = block.expected[free].astype(np.float64)
        kept = values <= values.mean() + _BRIGHT * sd
        level = float(values[kept].mean())
        variance = float(block.variance[free][kept].mean(dtype=np.float64))
        noise = math.sqrt(variance)
        spread = math.sqrt(variance + float(values[kept].var()))
    neurite = block.mask > 0
    foreground = int(neurite.sum())
    low = 0.0
    if foreground and free.any():
        contrast = (block.expected[neurite] - level) / (min(spread, sd) + 1e-5)
        low = float((contrast / 2 < 2).mean())
    return BlockTruth(
        foreground=foreground,
        density=min(1.0, foreground / (_FULL * block.roi.size)),
        background=level,
        background_sd=spread,
        noise_sd=noise,
        low_snr=low,
        snr=float(np.median(block.snr[neurite])) if foreground else math.nan,
        neurons=len(np.unique(block.labels[block.labels > 0])),
        tissue=float(block.tissue.mean()),
    )
